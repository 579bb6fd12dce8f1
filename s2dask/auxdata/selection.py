"""Which auxiliary file serves a sensing interval: the selection rules as functions of the files alone, in any order.

The rules are those of the public interface of the ground segment (Generic IPF Interface Specifications, annex B, and
what Sentinel-1 to -3 have added). The interval that a rule looks at is [t0 - dt0, t1 + dt1]; the newest file is the one
of the latest creation date, among those of the same second the last by name. A rule is applied to each (type, band) by
itself: a query that gives one file for a type that has one file for each band loses twelve of them.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, Self, TypeVar

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import BANDS

ALL_BANDS: Final = "B00"
"""Band in the name of a file that holds every band."""
ANY_UNIT: Final = "S2_"
"""Unit in the name of a file that serves every unit."""
_NONE: Final = timedelta(0)
_NAME: Final = re.compile(
    r"(?P<unit>\w{3})_(?P<classification>\w{4})_(?P<type>AUX_\w{6})_(?P<site>\w{4})_(?P<creation>\d{8}T\d{6})"
    r"_V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})(?:\.\w+)?"
)


class Entry(Protocol):
    """What a rule has to know of a file."""

    @property
    def type(self) -> str:
        """Type of the file."""

    @property
    def band(self) -> str:
        """Band, or what stands for every band."""

    @property
    def unit(self) -> str:
        """Unit, or what stands for every unit."""

    @property
    def creation(self) -> datetime:
        """Date of creation [UTC]."""

    @property
    def start(self) -> datetime:
        """Start of its validity [UTC]."""

    @property
    def stop(self) -> datetime:
        """End of its validity [UTC]."""

    @property
    def name(self) -> str:
        """Name of the file."""

    @property
    def path(self) -> Path:
        """Where it is."""


E = TypeVar("E", bound=Entry)
Rule = Callable[[Sequence[Any], datetime, datetime], list[Any]]
"""A rule: of the files of one type, band and unit, those that serve the interval from one date to another."""


def dates_of(name: re.Match[str]) -> tuple[datetime, datetime, datetime]:
    """Return creation, start and stop of the validity that a file name tells [UTC]."""
    try:
        creation, start, stop = (
            datetime.strptime(name[key], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for key in ("creation", "start", "stop")
        )
    except ValueError:
        raise InputError("impossible date in the name", name.string, "the file is refused") from None
    return creation, start, stop


def utc(moment: datetime) -> datetime:
    """Return a date as UTC; naive is taken as UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class AuxFile:
    """An auxiliary file that is no GIPP, known by its name: AUX_UT1UTC, AUX_ECMWFD, AUX_CAMSFO.

    Attributes
    ----------
    type : str
        ``AUX_ECMWFD``.
    unit : str
        ``S2_``: such files serve every unit.
    creation, start, stop : datetime
        Creation and validity [UTC].
    name : str
    path : Path
        Where it is, a file or a folder; no part of its identity.
    band : str
        Empty: such files know no band.
    """

    type: str
    unit: str
    creation: datetime
    start: datetime
    stop: datetime
    name: str
    path: Path = field(compare=False)
    band: str = ""

    @classmethod
    def from_path(cls, path: Path) -> Self | None:
        """Return the file described by its name, None when it is no such name."""
        match = _NAME.fullmatch(path.name)
        if match is None:
            return None
        return cls(match["type"], match["unit"], *dates_of(match), path.name, path)


def newest(files: Iterable[E]) -> list[E]:
    """Return the file that was created last, among those of the same second the last by name; none of none."""
    return sorted(files, key=_age)[-1:]


def _age(file: Entry) -> tuple[datetime, str, str]:
    return file.creation, file.name, str(file.path)


def _best(files: Iterable[E], score: Callable[[E], timedelta | datetime]) -> list[E]:
    """Return the file of the largest score, among equals the newest."""
    return sorted(files, key=lambda f: (score(f), _age(f)))[-1:]


def val_cover(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the files that are valid during the whole interval, oldest first."""
    return sorted((f for f in files if f.start <= begin and end <= f.stop), key=_age)


def val_intersect(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the files that are valid at some moment of the interval, its ends included, oldest first."""
    return sorted((f for f in files if f.start <= end and begin <= f.stop), key=_age)


def val_intersect_without_duplicates(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the files of `val_intersect`, of those of the same validity the newest only, oldest first."""
    latest = {(f.start, f.stop): f for f in val_intersect(files, begin, end)}
    return sorted(latest.values(), key=_age)


def full_coverage(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the files of `val_intersect_without_duplicates` if together they cover the interval, else none."""
    found = val_intersect_without_duplicates(files, begin, end)
    reached = begin
    for file in sorted(found, key=lambda f: f.start):
        if file.start > reached:
            return []
        reached = max(reached, file.stop)
    return found if found and reached >= end else []


def latest_val_cover_rule(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the newest of the files that are valid during the whole interval."""
    return newest(val_cover(files, begin, end))


def latest_val_intersect(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the newest of the files that are valid at some moment of the interval."""
    return newest(val_intersect(files, begin, end))


def latest_validity_closest(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the file whose validity starts nearest to the middle of the interval."""
    middle = begin + (end - begin) / 2
    return _best(files, lambda f: -abs(f.start - middle))


def best_centered_cover(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return, of the files that cover the interval, the one whose nearer end is farthest from that of the interval."""
    return _best(val_cover(files, begin, end), lambda f: min(begin - f.start, f.stop - end))


def latest_val_cover_closest(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return, of the files that cover the interval, the one that starts nearest to its start."""
    return _best(val_cover(files, begin, end), lambda f: f.start)


def _overlap(file: Entry, begin: datetime, end: datetime) -> timedelta:
    return min(file.stop, end) - max(file.start, begin)


def largest_overlap(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the file of the largest overlap with the interval, among equals the one that starts nearest to its start.

    Where a file covers the interval, this is the one of `latest_val_cover_closest`.
    """
    found = val_intersect(files, begin, end)
    most = max((_overlap(f, begin, end) for f in found), default=_NONE)
    return _best((f for f in found if _overlap(f, begin, end) == most), lambda f: -abs(f.start - begin))


def largest_overlap_85(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the file of `largest_overlap` if it covers 85 % of the interval, else none."""
    return [f for f in largest_overlap(files, begin, end) if 100 * _overlap(f, begin, end) >= 85 * (end - begin)]


def closest_start_validity(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the file whose validity starts nearest to the start of the interval."""
    del end
    return _best(files, lambda f: -abs(f.start - begin))


def closest_stop_validity(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the file whose validity ends nearest to the end of the interval."""
    del begin
    return _best(files, lambda f: -abs(f.stop - end))


def latest_start_validity(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the file whose validity starts last, whatever the interval."""
    del begin, end
    return _best(files, lambda f: f.start)


def latest_stop_validity(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the file whose validity ends last, whatever the interval."""
    del begin, end
    return _best(files, lambda f: f.stop)


def latest_generation(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the newest file, whatever the interval."""
    del begin, end
    return newest(files)


def latest_val_cover_newest_validity(files: Sequence[E], begin: datetime, end: datetime) -> list[E]:
    """Return the newest file that covers the interval, failing that the one whose validity starts last."""
    return latest_val_cover_rule(files, begin, end) or latest_start_validity(files, begin, end)


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "ValCover": val_cover,
        "LatestValCover": latest_val_cover_rule,
        "ValIntersect": val_intersect,
        "ValIntersectWithoutDuplicates": val_intersect_without_duplicates,
        "LatestValIntersect": latest_val_intersect,
        "LatestValidity": latest_start_validity,
        "LatestValidityClosest": latest_validity_closest,
        "BestCenteredCover": best_centered_cover,
        "LatestValCoverClosest": latest_val_cover_closest,
        "LargestOverlap": largest_overlap,
        "LargestOverlap85": largest_overlap_85,
        "LatestValCoverNewestValidity": latest_val_cover_newest_validity,
        "ClosestStartValidity": closest_start_validity,
        "ClosestStopValidity": closest_stop_validity,
        "LatestStartValidity": latest_start_validity,
        "LatestStopValidity": latest_stop_validity,
        "LatestGeneration": latest_generation,
        "FullCoverage": full_coverage,
    }
)
"""By the name that the interfaces use."""


def select(
    files: Iterable[E],
    rule: str,
    unit: str,
    start: datetime,
    stop: datetime,
    before: timedelta = _NONE,
    after: timedelta = _NONE,
) -> dict[tuple[str, str], tuple[E, ...]]:
    """Return the files that serve a sensing interval, by (type, band).

    Parameters
    ----------
    files : iterable of Entry
        Of any types, bands and units, in any order.
    rule : str
        One of `RULES`.
    unit : str
        Files of this unit, or of every unit, are looked at.
    start, stop : datetime
        Sensing interval; naive is taken as UTC.
    before, after : timedelta
        dt0 and dt1: by what the interval is enlarged; not negative.

    Returns
    -------
    dict
        A (type, band) for which no file serves is not in there; the files of rules that give several are oldest first.
    """
    if rule not in RULES:
        raise ConfigurationError(f"rule {rule!r}", "selection", f"use one of {', '.join(RULES)}")
    if before < _NONE or after < _NONE:
        raise ConfigurationError("a margin is negative", "selection", "the interval can only be enlarged")
    begin, end = utc(start) - before, utc(stop) + after
    if end < begin:
        raise ConfigurationError(f"the interval ends before it begins: {start} to {stop}", "selection")
    groups: dict[tuple[str, str], list[E]] = {}
    for file in files:
        if file.unit in (unit, ANY_UNIT):
            groups.setdefault((file.type, file.band), []).append(file)
    found = {key: tuple(RULES[rule](group, begin, end)) for key, group in sorted(groups.items())}
    return {key: chosen for key, chosen in found.items() if chosen}


def check_bands(selection: Iterable[tuple[str, str]], types: Iterable[str], where: str) -> None:
    """Refuse a selection in which a type of one file per band misses one.

    Parameters
    ----------
    selection : iterable of (str, str)
        (type, band) of what there is.
    types : iterable of str
        Types that must have each of the 13 bands.
    where : str
        What is refused, for the message.
    """
    there = set(selection)
    for kind in types:
        missing = [name for name in BANDS if (kind, name) not in there]
        if missing:
            raise InputMissing(
                f"no {kind} of {', '.join(missing)}", where, f"add the {len(missing)} missing of its {len(BANDS)} files"
            )
