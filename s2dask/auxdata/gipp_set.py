"""The ground image processing parameters (GIPP) of one datatake: which file of each type, chosen once and frozen."""

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Self

from s2dask.auxdata.gipp_container import read_gipp, version_of
from s2dask.auxdata.gipp_fields import open_root
from s2dask.auxdata.gipp_types import PER_BAND, gipp_type
from s2dask.auxdata.selection import ALL_BANDS, ANY_UNIT, check_bands, dates_of, select, utc
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.instrument.units import unit as known_unit

Absent = Literal["error", "rule", "nearest"]
"""What takes the place of a listed file that is not there; see `GippSet.open`."""

Replacement = Path | str | Mapping[str, Path | str]
"""A file, or the files of some bands."""
Changes = Mapping[str | tuple[str, str], Replacement]
"""Files by type, or by type and band."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Date of a replaced file whose name gives none: it is not chosen by its dates."""

_LOG = logging.getLogger(__name__)
_NAME = re.compile(
    r"(?P<unit>\w{3})_(?P<classification>\w{4})_GIP_(?P<type>\w{6})_(?P<site>\w{4})_(?P<creation>\d{8}T\d{6})"
    r"_V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_(?P<band>B\w{2})\.(?:DBL|xml|XML|TGZ|tgz)"
)


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
        if match["band"] != ALL_BANDS and match["band"] not in BANDS:
            raise InputError(f"unknown band {match['band']} in the name", path.name)
        return cls(match["type"], match["band"], match["unit"], *dates_of(match), path.name, path)

    @property
    def stem(self) -> str:
        """Name without suffix, as a product lists it."""
        return self.path.stem


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
    return {key: found[-1] for key, found in select(files, "LatestValCover", unit, start, stop).items()}


@dataclass(frozen=True, slots=True)
class GippSet:
    """The GIPPs of one unit and sensing interval.

    Attributes
    ----------
    unit : str
    files : tuple of GippFile
        Sorted.
    id : str
        SHA-256 over the names and contents, not the containers: two sets of one id give the same product.
    refused : tuple of (str, str, str)
        Type, band and reason of the files that the product lists and that cannot be had: asking for one is an error.
    substitutes : tuple of str
        Names of the files that stand in for listed ones.
    """

    unit: str
    files: tuple[GippFile, ...]
    id: str
    refused: tuple[tuple[str, str, str], ...] = ()
    substitutes: tuple[str, ...] = ()

    @classmethod
    def open(
        cls,
        folder: Path | str,
        unit: str,
        start: datetime,
        stop: datetime,
        listed: Iterable[str] | Mapping[str, str] = (),
        absent: Absent = "error",
    ) -> Self:
        """Select the GIPPs of a folder, subfolders included, that hold for a unit during a sensing interval.

        Parameters
        ----------
        folder : path
            Any mixture of ``.xml``, ``.DBL`` and ``.TGZ``.
        unit : str
        start, stop : datetime
            Sensing interval; naive is taken as UTC.
        listed : iterable of str, or mapping of str to str
            Names, without suffix, that the product's own GIPP_List gives, with their versions if it is a mapping: they
            go before the rule. A reprocessed strip may list a file whose validity begins after its sensing.
        absent : {"error", "rule", "nearest"}
            A listed file that is not there: ``error`` when it is asked for, since another version moves the product by
            up to metres; ``rule``: the one that LatestValCover gives; ``nearest``: failing that, the one whose validity
            is nearest in time. What stands in is logged and kept in `substitutes`.
        """
        if absent not in ("error", "rule", "nearest"):
            raise ConfigurationError(f"absent={absent!r}", "GippSet.open", 'use "error", "rule" or "nearest"')
        known_unit(unit)
        found = list(_gipps(Path(folder)))
        selection = latest_val_cover(found, unit, start, stop)
        versions = dict(listed) if isinstance(listed, Mapping) else dict.fromkeys(listed, "")
        refused, substitutes = _apply_list(selection, found, unit, versions, utc(start), absent)
        chosen = tuple(sorted(selection.values()))
        if not chosen and not refused:
            raise InputMissing(
                f"no GIPP of {unit} covers {start:%Y-%m-%dT%H:%M:%S} to {stop:%Y-%m-%dT%H:%M:%S}",
                str(folder),
                f"{len(found)} GIPP files are there for other units or dates",
            )
        digests = {}
        for file in chosen:
            content = _content(file, found)
            digests[file] = hashlib.sha256(content).digest()
            wanted, has = versions.get(file.stem, ""), version_of(content)
            if wanted and has and wanted.lstrip("0") != has.lstrip("0"):
                refused[file.type, file.band] = f"{file.name} is version {has}, the product lists {wanted}"
        reasons = tuple((kind, band, reason) for (kind, band), reason in sorted(refused.items()))
        return cls(unit, chosen, _identity(unit, digests), reasons, tuple(sorted(substitutes)))

    def has(self, gipp_type: str) -> bool:
        """Whether there is a file of a type, or one that the product lists and that cannot be had: `path` says why."""
        return any(f.type == gipp_type for f in self.files) or any(kind == gipp_type for kind, _, _ in self.refused)

    def path(self, gipp_type: str, band: str = ALL_BANDS) -> Path:
        """Return the file of a type, and of a band where the type has one file per band."""
        for kind, of, reason in self.refused:
            if (kind, of) == (gipp_type, band):
                raise InputMissing(
                    reason, f"GIP_{kind} of {self.unit} for {of}", "add that file, or allow another with `absent`"
                )
        for file in self.files:
            if (file.type, file.band) == (gipp_type, band):
                return file.path
        raise InputMissing(
            f"no GIP_{gipp_type} of {self.unit} for {band} covers the sensing interval",
            f"GIPP set {self.id[:12]}",
            "add the file, or one of a wider validity, to the GIPP folder",
        )

    def replace(self, changes: Changes = MappingProxyType({}), /, **types: Replacement) -> Self:
        """Return the set with other files in the place of its own, for what-if.

        Parameters
        ----------
        changes : mapping, optional
            Path by type, or by (type, band): ``{("R2EQOG", "B04"): path}``.
        **types : path, or mapping of str to path
            The same by keyword: ``R2ABCA=path``, ``R2EQOG={"B04": path}``.

        Returns
        -------
        GippSet
            With an identity of its own, unless the files are the same. A file need not be valid at the sensing, nor
            have the name of a GIPP; if it has, it must be that of its type, band and unit. What it is of is checked
            in its content too.
        """
        files = {(file.type, file.band): file for file in self.files}
        refused = {(kind, band): reason for kind, band, reason in self.refused}
        for (kind, band), path in _changes(changes, types).items():
            files[kind, band] = _replacement(kind, band, self.unit, path)
            refused.pop((kind, band), None)
        chosen = tuple(sorted(files.values()))
        digests = {file: hashlib.sha256(read_gipp(file.path).strip()).digest() for file in chosen}
        reasons = tuple((kind, band, reason) for (kind, band), reason in sorted(refused.items()))
        kept = tuple(name for name in self.substitutes if name in {file.name for file in chosen})
        return type(self)(self.unit, chosen, _identity(self.unit, digests), reasons, kept)

    def check_bands(self, *types: str) -> None:
        """Refuse the set if a type of one file per band (default: each of which there is one) misses a band."""
        there = [(file.type, file.band) for file in self.files]
        wanted = types or tuple(kind for kind in PER_BAND if any(of == kind for of, _ in there))
        check_bands(there, wanted, f"GIPP set {self.id[:12]} of {self.unit}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files, for the provenance."""
        return tuple(file.name for file in self.files)


def _identity(unit: str, digests: Mapping[GippFile, bytes]) -> str:
    """Return the SHA-256 over the names of a set and the SHA-256 of their contents."""
    digest = hashlib.sha256(unit.encode())
    for file in sorted(digests):
        digest.update(file.stem.encode() + b"\0" + digests[file])
    return digest.hexdigest()


def _changes(*changes: Mapping[Any, Replacement]) -> dict[tuple[str, str], Path]:
    """Return the path of each (type, band) that is to be replaced."""
    out: dict[tuple[str, str], Path] = {}
    for key, value in (pair for one in changes for pair in one.items()):
        kind, band = key if isinstance(key, tuple) else (key, "")
        by_band = value.items() if isinstance(value, Mapping) else [(band, value)]
        for of, path in by_band:
            per_band = gipp_type(kind).per_band
            if per_band != (of in BANDS):
                what = "one file per band: name one of the bands" if per_band else "one file for all bands"
                raise ConfigurationError(
                    f"GIP_{kind} is {what}", str(of or path), 'for instance {("R2EQOG", "B04"): path}'
                )
            out[kind, of or ALL_BANDS] = Path(path)
    return out


def _replacement(kind: str, band: str, unit: str, path: Path) -> GippFile:
    """Return the file that stands in for another, after looking whether it is of that type, band and unit."""
    record = gipp_type(kind).record
    root: str = record.ROOT  # type: ignore[attr-defined]
    data = open_root(path, root, unit)
    if band != ALL_BANDS:
        index = data.child("DATA").child("BAND_ID")
        if index.integer(0, len(BANDS) - 1) != BANDS[band].index:
            raise index.refuse(f"band {index.text} instead of {BANDS[band].index} ({band})")
    named = GippFile.from_path(path)
    if named is None:
        return GippFile(kind, band, unit, EPOCH, EPOCH, EPOCH, path.name, path)
    if (named.type, named.band) != (kind, band) or named.unit not in (unit, ANY_UNIT):
        raise InputError(
            f"a GIP_{named.type} of {named.unit} for {named.band}", path.name, f"give a GIP_{kind} of {unit} for {band}"
        )
    return named


def _apply_list(
    selection: dict[tuple[str, str], GippFile],
    found: list[GippFile],
    unit: str,
    listed: Iterable[str],
    start: datetime,
    absent: Absent,
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Put the listed files into a selection; return the reasons why some cannot be, and the names that stand in."""
    refused: dict[tuple[str, str], str] = {}
    substitutes = []
    for stem in sorted(set(listed)):
        wanted = GippFile.from_path(Path(f"{stem}.xml"))
        if wanted is None:
            continue
        key = wanted.type, wanted.band
        same = sorted((f for f in found if f.stem == stem), key=lambda f: (f.name, str(f.path)))
        if wanted.unit not in (unit, ANY_UNIT):
            refused[key] = f"the product lists {stem}, a file of {wanted.unit}"
        elif same:
            selection[key] = same[-1]
        elif absent == "error":
            there = [f.stem for f in found if (f.type, f.band) == key and f.unit == wanted.unit]
            selection.pop(key, None)
            refused[key] = f"the product lists {stem}, which is not there" + (f"; {max(there)} is" if there else "")
        else:
            other = selection.get(key) or (_nearest(found, unit, key, start) if absent == "nearest" else None)
            if other is not None:
                selection[key] = other
                substitutes.append(other.name)
                _LOG.warning("%s stands in for %s, which is not there", other.name, stem)
    return refused, substitutes


def _nearest(found: list[GippFile], unit: str, key: tuple[str, str], start: datetime) -> GippFile | None:
    """Return the file of a (type, band) whose validity is nearest to a date, None if there is none of that unit."""
    fit = [f for f in found if (f.type, f.band) == key and f.unit in (unit, ANY_UNIT)]
    gaps = ((max(f.start - start, start - f.stop, timedelta(0)), f) for f in fit)
    return min(gaps, key=lambda g: (g[0], -g[1].creation.timestamp(), g[1].name, str(g[1].path)))[1] if fit else None


def _content(file: GippFile, found: list[GippFile]) -> bytes:
    """Return the XML of a file; the same name with another content elsewhere in the folder is refused.

    The end of the last line does not count: packing adds or drops it.
    """
    content = read_gipp(file.path).strip()
    for other in found:
        if other.stem == file.stem and other.path != file.path and read_gipp(other.path).strip() != content:
            raise InputError(f"differs from {other.path}", str(file.path), "keep one of the two")
    return content


def _gipps(folder: Path) -> Iterator[GippFile]:
    if not folder.is_dir():
        raise InputMissing("no such GIPP folder", str(folder))
    for path in sorted(folder.rglob("*")):
        file = GippFile.from_path(path) if path.is_file() else None
        if file is not None:
            yield file
