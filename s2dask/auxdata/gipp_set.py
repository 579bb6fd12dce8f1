"""The ground image processing parameters (GIPP) of one datatake: which file of each type, chosen once and frozen."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.instrument.units import unit as known_unit

ALL_BANDS: Final = "B00"
"""Band in the name of a file that holds every band."""
ANY_UNIT: Final = "S2_"
"""Unit in the name of a file that serves every unit."""

_NAME = re.compile(
    r"(?P<unit>\w{3})_(?P<classification>\w{4})_GIP_(?P<type>\w{6})_(?P<site>\w{4})_(?P<creation>\d{8}T\d{6})"
    r"_V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_(?P<band>B\w{2})\.(?:DBL|xml|XML)"
)


def _date(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class GippFile:
    """One GIPP file, known by its name.

    Attributes
    ----------
    type : str
        ``R2EQOG``.
    band : str
        ``B04``, or ``B00`` when it holds every band.
    unit : str
    creation, start, stop : datetime
        Creation and validity [UTC].
    name : str
        File name.
    path : Path
        Where it is; no part of its identity.
    """

    type: str
    band: str
    unit: str
    creation: datetime
    start: datetime
    stop: datetime
    name: str
    path: Path = field(compare=False)

    @classmethod
    def from_path(cls, path: Path) -> Self | None:
        """Return the file described by its name, None when it is no GIPP name."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        try:
            creation, start, stop = (_date(match[key]) for key in ("creation", "start", "stop"))
        except ValueError:
            raise InputError("impossible date in the name", path.name) from None
        if match["band"] != ALL_BANDS and match["band"] not in BANDS:
            raise InputError(f"unknown band {match['band']} in the name", path.name)
        return cls(match["type"], match["band"], match["unit"], creation, start, stop, path.name, path)

    def covers(self, start: datetime, stop: datetime) -> bool:
        """Whether the file is valid during the whole interval."""
        return self.start <= start and stop <= self.stop


def latest_val_cover(
    files: Iterable[GippFile], unit: str, start: datetime, stop: datetime
) -> dict[tuple[str, str], GippFile]:
    """Return the file of each (type, band) by the rule LatestValCover.

    Parameters
    ----------
    files : iterable of GippFile
        In any order.
    unit : str
    start, stop : datetime
        Sensing interval; naive is taken as UTC.

    Notes
    -----
    Of the files of this unit (or of every unit) valid during the whole interval, the one created last; among those
    created in the same second, the last by name.
    """
    begin, end = _utc(start), _utc(stop)
    chosen: dict[tuple[str, str], GippFile] = {}
    for file in sorted(files, key=lambda f: (f.creation, f.name)):
        if file.unit in (unit, ANY_UNIT) and file.covers(begin, end):
            chosen[file.type, file.band] = file
    return chosen


@dataclass(frozen=True, slots=True)
class GippSet:
    """The GIPPs of one unit and sensing interval.

    Attributes
    ----------
    unit : str
    files : tuple of GippFile
        Sorted.
    id : str
        SHA-256 over the names and contents: two sets of one id give the same product.
    """

    unit: str
    files: tuple[GippFile, ...]
    id: str

    @classmethod
    def open(
        cls, folder: Path | str, unit: str, start: datetime, stop: datetime, listed: Iterable[str] = ()
    ) -> Self:
        """Select the GIPPs of a folder, subfolders included, that hold for a unit during a sensing interval.

        Parameters
        ----------
        folder : path
        unit : str
        start, stop : datetime
            Sensing interval; naive is taken as UTC.
        listed : iterable of str
            Names, without suffix, that the product's own GIPP_List gives: they go before the rule. A reprocessed
            strip may list a file whose validity begins after its sensing.
        """
        known_unit(unit)
        found = list(_gipps(Path(folder)))
        selection = latest_val_cover(found, unit, start, stop)
        names = set(listed)
        selection |= {(f.type, f.band): f for f in found if f.path.stem in names and f.unit in (unit, ANY_UNIT)}
        chosen = tuple(sorted(selection.values()))
        if not chosen:
            raise InputMissing(
                f"no GIPP of {unit} covers {start:%Y-%m-%dT%H:%M:%S} to {stop:%Y-%m-%dT%H:%M:%S}",
                str(folder),
                f"{len(found)} GIPP files are there for other units or dates",
            )
        digest = hashlib.sha256(unit.encode())
        for file in chosen:
            digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.path.read_bytes()).digest())
        return cls(unit, chosen, digest.hexdigest())

    def path(self, gipp_type: str, band: str = ALL_BANDS) -> Path:
        """Return the file of a type, and of a band where the type has one file per band."""
        for file in self.files:
            if (file.type, file.band) == (gipp_type, band):
                return file.path
        raise InputMissing(
            f"no GIP_{gipp_type} of {self.unit} for {band} covers the sensing interval",
            f"GIPP set {self.id[:12]}",
            "add the file, or one of a wider validity, to the GIPP folder",
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files, for the provenance."""
        return tuple(file.name for file in self.files)


def _gipps(folder: Path) -> Iterator[GippFile]:
    if not folder.is_dir():
        raise InputMissing("no such GIPP folder", str(folder))
    for path in sorted(folder.rglob("*")):
        file = GippFile.from_path(path) if path.is_file() else None
        if file is not None:
            yield file
