"""What is asked of a campaign: which sessions of an archive, up to which level, with which baseline, and to where."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import shapely
from shapely.errors import ShapelyError

from s2dask.errors import ConfigurationError
from s2dask.geometry.tiles import tiles_of
from s2dask.instrument.units import unit as known_unit
from s2dask.l2a.options import DEFAULT, Corrections
from s2dask.production.footprint import tile_grid
from s2dask.production.ingest import BASELINE
from s2dask.production.order import LEVELS, Order
from s2dask.production.resampling import USUAL, Resampling

THIS_BASELINE: Final = f"N{BASELINE}"
"""Processing baseline that this version of s2dask makes."""
CYCLE: Final = 143
"""Relative orbits: a larger number is an absolute orbit."""
_OWN: Final = ("source", "to", "out", "scratch", "tile", "aux", "ledger", "keep", "unit", "orbit", "follow", "blocking")
"""Attributes of an order that the campaign settles itself."""


def _moment(value: str | datetime, where: str) -> datetime:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except ValueError:
        raise ConfigurationError(f"{value!r} is no date", where, "write 2020-08-16 or 2020-08-16T12:00:00") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _plain(value: Any) -> Any:
    """Return an option as JSON knows it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return list(value) if isinstance(value, tuple) else value


def _area(aoi: str | Sequence[float]) -> shapely.Geometry:
    try:
        shape = shapely.from_wkt(aoi) if isinstance(aoi, str) else shapely.box(*aoi)
    except (ShapelyError, TypeError, ValueError) as error:
        remedy = "give west, south, east, north [deg], or WKT in longitude and latitude"
        raise ConfigurationError(f"no area: {error}", "aoi", remedy) from None
    return shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a campaign; it does not change once its first session is submitted.

    Attributes
    ----------
    name : str
    source : str
        Folder or fsspec URL: sessions, L1B and L1C products in SAFE form, at any depth below it.
    deliver : str
        Delivery folder, local or ``s3://bucket/prefix``.
    work : str, optional
        Local folder of the working stores; default: ``.work`` of a local delivery folder.
    unit : tuple of str
        Units; empty: all.
    orbits : tuple of int
        Relative (up to 143) or absolute orbits; empty: all.
    tiles : tuple of str
        Tiles to make; empty: all that are touched, or those of `aoi`.
    aoi : str or tuple of float, optional
        West, south, east, north [deg], or WKT in longitude and latitude: the tiles that it touches.
    period : (str, str), optional
        Sensing from, and before [UTC].
    levels : tuple of str
        The last of them is that of the order; L1C is delivered with L2A.
    baseline : str
        ``N05.11``.
    aux : str, optional
        Folder of auxiliary files of every source; default: that beside each session.
    gipps : str, optional
        Folder of GIPPs in the place of that among the auxiliary files.
    keep : bool
        Keep the working stores when a session is done: what a fork makes of them it need not make again.
    options : mapping
        The other attributes of `s2dask.production.order.Order`.
    parent : str
        Campaign that it is a fork of.
    """

    name: str
    source: str
    deliver: str = "products"
    work: str | None = None
    unit: tuple[str, ...] = ()
    orbits: tuple[int, ...] = ()
    tiles: tuple[str, ...] = ()
    aoi: str | tuple[float, ...] | None = None
    period: tuple[str, str] | None = None
    levels: tuple[str, ...] = ("L1C", "L2A")
    baseline: str = THIS_BASELINE
    aux: str | None = None
    gipps: str | None = None
    keep: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ConfigurationError(f"{self.name!r} is no name", "campaign", "letters, digits, dot, dash, underscore")
        for one in self.unit:
            known_unit(one)
        if self.baseline != THIS_BASELINE:
            remedy = f"this version of s2dask makes {THIS_BASELINE}: install the version of {self.baseline}"
            raise ConfigurationError(f"baseline {self.baseline} cannot be made", self.name, remedy)
        if self.tiles and self.aoi is not None:
            raise ConfigurationError("tiles and an area", self.name, "give the one or the other")
        if strange := sorted(set(self.options) & set(_OWN)):
            raise ConfigurationError(f"{strange[0]} is settled by the campaign", self.name, "leave it out")
        if self.options.get("window") is not None and len(self.tiles) != 1:
            raise ConfigurationError("a window needs its tile", self.name, "name the one tile")
        for tile in self.tiles:
            tile_grid(tile)
        _ = self.to, self.dates
        self.order(self.source)

    @property
    def to(self) -> str:
        """Last level."""
        known = {("L0",), ("L1A",), ("L1B",), ("L1C",), ("L1C", "L2A")}
        levels = tuple(level for level in LEVELS if level in self.levels)
        if levels not in known or len(levels) != len(self.levels):
            remedy = "L0, L1A, L1B, L1C, or L1C and L2A, which are delivered together"
            raise ConfigurationError(f"levels {', '.join(self.levels) or 'none'}", self.name, remedy)
        return levels[-1]

    @property
    def dates(self) -> tuple[datetime, datetime] | None:
        """The period [UTC]."""
        if self.period is None:
            return None
        first, stop = (_moment(date, "period") for date in self.period)
        if first >= stop:
            raise ConfigurationError(f"from {first:%Y-%m-%d %H:%M} to {stop:%Y-%m-%d %H:%M}", "period", "swap them")
        return first, stop

    def wanted(self) -> frozenset[str] | None:
        """Return the tiles to make; None: all that are touched."""
        if self.tiles:
            return frozenset(tile_grid(tile).tile_id for tile in self.tiles)
        return None if self.aoi is None else frozenset(tile.name for tile in tiles_of(_area(self.aoi)))

    def order(self, source: str, unit: str | None = None) -> Order:
        """Return what is asked of the run of one source."""
        tile = self.tiles[0] if len(self.tiles) == 1 else None
        order = Order(
            source=source, to=self.to, out=self.deliver, scratch=self.work, aux=self.aux, keep=True, unit=unit,
            tile=tile, **self._options(),
        )  # fmt: skip
        return order if self.gipps is None else replace(order, aux=str(self._view(order)))

    def _view(self, order: Order) -> Path:
        return self.home / ".campaign" / self.name / ("aux" if self.aux else order.work.name)

    @property
    def home(self) -> Path:
        """Local folder of what a campaign keeps beside its products."""
        return Path(self.work or self.deliver)

    def prepare(self, source: str) -> None:
        """Lay out the auxiliary files of a source with the GIPPs of the campaign in the place of theirs, as links."""
        if self.gipps is None:
            return
        order = self.order(source)
        view, folder = self._view(order), Path(replace(order, aux=self.aux).aux_folder())
        view.mkdir(parents=True, exist_ok=True)
        links = {kind.name: kind for kind in folder.iterdir()} | {"gipp": Path(self.gipps)}
        for name, target in links.items():
            link = view / name
            if link.is_symlink() or link.exists():
                link.unlink()
            link.symlink_to(target.absolute())

    def _options(self) -> dict[str, Any]:
        told = dict(self.options)
        for name, kind, usual in (("corrections", Corrections, DEFAULT), ("resampling", Resampling, USUAL)):
            if isinstance(value := told.get(name, usual), Mapping):
                told[name] = kind(**value)
        if isinstance(told.get("window"), list):
            told["window"] = tuple(told["window"])
        return told

    def spec(self) -> dict[str, Any]:
        """Return the request as the ledger keeps it, JSON-able; `of` reads it back."""
        told = asdict(self) | {"options": {k: _plain(v) for k, v in self._options().items()}}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}

    def changed(self, name: str, changes: Mapping[str, Any]) -> Self:
        """Return a request that differs from this one: in its own attributes, or in options of the order."""
        own: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in changes.items()
            if key in self.__dataclass_fields__
        }
        if isinstance(own.get("unit"), str):
            own["unit"] = (own["unit"],)
        options = {**self.options, **{key: value for key, value in changes.items() if key not in own}}
        return replace(self, **own, name=name, parent=self.name, options=options)

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Return the request that `spec` has told."""
        told: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in spec.items()}
        return cls(**told)
