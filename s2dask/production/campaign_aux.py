"""The auxiliary files of a campaign: what is missing before anything runs, and which GIPPs are frozen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pyproj import Transformer

from s2dask.auxdata.gipp_set import GippFile, GippSet
from s2dask.auxdata.raster_cell import Bounds, overlap
from s2dask.errors import ConfigurationError, InputMissing, S2Error
from s2dask.production.footprint import tile_grid
from s2dask.production.identity import steps_of
from s2dask.production.order import LEVELS
from s2dask.production.provenance import checksums_of
from s2dask.production.setting import AuxFolder

_NEEDED: Final = ("BLINDP", "R2ABCA", "R2CRCO", "R2DEPI", "R2EQOG", "VIEDIR", "SPAMOD")
"""GIPP types that the chain cannot do without; without another the step that reads it is left out or assumes."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The GIPPs of a source.

    Attributes
    ----------
    id : str
        Of the set.
    unit : str
    sensing : (datetime, datetime)
    files : mapping of str to str
        SHA-256 of each file by ``TYPE/BAND``.
    chosen : tuple of GippFile
    """

    id: str
    unit: str
    sensing: tuple[datetime, datetime]
    files: Mapping[str, str]
    chosen: tuple[GippFile, ...] = field(repr=False)


def freeze(aux: str, unit: str, sensing: tuple[datetime, datetime]) -> Frozen:
    """Return the GIPPs that hold for a source, with their checksums."""
    gipps = GippSet.open(AuxFolder(aux).gipp, unit, *sensing)
    return Frozen(gipps.id, unit, sensing, checksums_of(gipps), gipps.files)


def _clash(a: Frozen, b: Frozen) -> str:
    """Return what two sources of one unit would be made with that cannot both be the baseline; empty: nothing."""
    theirs = {(file.type, file.band): file for file in b.chosen}
    for mine in a.chosen:
        other = theirs.get((mine.type, mine.band))
        key = f"{mine.type}/{mine.band}"
        if other is None or a.files[key] == b.files[key]:
            continue
        # another validity is no mix: the calibration of another year
        if mine.stem == other.stem:
            return f"{mine.stem} with two contents"
        if (other.start <= a.sensing[0] and a.sensing[1] <= other.stop) or (
            mine.start <= b.sensing[0] and b.sensing[1] <= mine.stop
        ):
            return f"{mine.stem} and {other.stem}, which hold for the same time"
    return ""


def check_one_set(frozen: Iterable[tuple[str, Frozen]]) -> None:
    """Refuse sources whose GIPPs are a mix.

    Parameters
    ----------
    frozen : iterable of (str, Frozen)
        By source, one for each datastrip.

    Raises
    ------
    ConfigurationError
        For two datastrips of one unit that would be made with two versions of a GIPP that hold for the same time.
    """
    kinds: dict[str, tuple[str, Frozen]] = {}
    for name, mine in frozen:
        if mine.id in kinds:
            continue
        for other, theirs in kinds.values():
            if mine.unit == theirs.unit and (clash := _clash(mine, theirs)):
                remedy = "a campaign has one set of GIPPs: give --aux, or make two campaigns"
                raise ConfigurationError(f"another set of GIPPs than {other}: {clash}", name, remedy)
        kinds[mine.id] = (name, mine)


def checksums(frozen: Iterable[Frozen]) -> dict[str, str]:
    """Return the checksum of each GIPP of a run by ``TYPE/BAND``; the second of its datastrips that differs says so."""
    found: dict[str, str] = {}
    for rank, one in enumerate(frozen):
        for key, value in one.files.items():
            if found.setdefault(key, value) != value:
                found[f"{key}#{rank + 1}"] = value
    return found


def _heights(aux: AuxFolder, tiles: Iterable[str]) -> list[str]:
    """Return the cells of one degree of some tiles that the elevation model does not hold."""
    terrain = aux.terrain()
    if terrain.missing == "sea":
        return []
    lacking: set[str] = set()
    for tile in tiles:
        grid = tile_grid(tile)
        to_degrees = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
        west, south, east, north = to_degrees.transform_bounds(*grid.bounds)
        for lat in range(int(south // 1), int(north // 1) + 1):
            for lon in range(int(west // 1), int((east if east > west else east + 360.0) // 1) + 1):
                box = Bounds(max(lon, west), max(lat, south), min(lon + 1, east), min(lat + 1, north))
                whole = max(box.east - box.west, 0.0) * max(box.north - box.south, 0.0)
                held = sum(overlap(box, cell.bounds) for cell in terrain.cells)
                if held < 0.01 * whole:
                    lacking.add(f"{'N' if lat >= 0 else 'S'}{abs(lat):02d}{'E' if lon >= 0 else 'W'}{abs(lon):03d}")
    return sorted(lacking)


def missing_aux(
    folder: str, to: str, unit: str, sensing: tuple[datetime, datetime], tiles: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return what a source lacks of auxiliary files: what it cannot be made without, and what will be assumed.

    Parameters
    ----------
    folder : str
    to : str
        Last level.
    unit : str
    sensing : (datetime, datetime)
    tiles : sequence of str
    """
    needed: list[str] = []
    assumed: list[str] = []
    if to == "L0":
        return needed, assumed
    levels, aux = LEVELS[: LEVELS.index(to) + 1], AuxFolder(folder)
    types = dict.fromkeys(kind for step in steps_of(*levels) for kind in step.gipp)
    dates = f"{sensing[0]:%Y-%m-%dT%H:%M:%S}"
    try:
        gipps: GippSet | None = GippSet.open(aux.gipp, unit, *sensing)
    except InputMissing as error:
        gipps = None
        needed.append(f"GIPP: {error.what}")
    for kind in types if gipps is not None else ():
        if gipps is not None and not gipps.has(kind):
            (needed if kind in _NEEDED else assumed).append(f"GIP_{kind} of {unit} valid at {dates}")
    if LEVELS.index(to) < LEVELS.index("L1C"):
        return needed, assumed
    try:
        _ = aux.bulletin
        needed.extend(f"DEM {cell}" for cell in _heights(aux, tiles))
    except S2Error as error:
        needed.append(str(error))
    assumed.extend(name for name, there in (("AUX_ECMWF", aux.meteo), ("AUX_CAMSFO", aux.cams)) if there is None)
    return needed, assumed
