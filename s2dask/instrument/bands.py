"""The thirteen spectral bands: sizes, timing and radiometric range, the same on every unit."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from s2dask.errors import ConfigurationError

RESOLUTIONS: Final = (10, 20, 60)
"""Ground sampling of the product images [m]."""


@dataclass(frozen=True, slots=True)
class Band:
    """One spectral band.

    Attributes
    ----------
    name, index : str, int
        ``B8A`` and its 0-based position in the mission's order (``bandId`` of the metadata).
    focal_plane : str
        ``VNIR`` or ``SWIR``.
    resolution : int
        Ground sampling of the L1B image [m].
    raw_columns : int
        Pixels of one detector in the downlink, blind pixels included.
    blind_valid, blind_invalid : int
        Blind pixels per side: the outer valid ones, the inner ones that are not usable.
    columns : int
        Columns of the L1B image (60 m bands: after binning).
    lines_per_scene : int
        Lines of one granule.
    chronogram_lines : int
        Lines of the read-out cycle over which the dark signal varies.
    tdi : bool
        Whether time-delay integration is applied (B03, B04, B11, B12).
    focal_plane_order : int
        Rank in the along-track order of the bands on a detector.
    radiance_min, radiance_reference, radiance_max : float
        Range and reference radiance [W m-2 sr-1 um-1].
    compression_rate : float
        On-board fixed-rate compression.
    packet_length : int
        Bytes of one compressed instrument source packet.
    """

    name: str
    index: int
    focal_plane: str
    resolution: int
    raw_columns: int
    blind_valid: int
    blind_invalid: int
    columns: int
    lines_per_scene: int
    chronogram_lines: int
    tdi: bool
    focal_plane_order: int
    radiance_min: float
    radiance_reference: float
    radiance_max: float
    compression_rate: float
    packet_length: int

    @property
    def line_factor(self) -> int:
        """Line period over the 10 m line period: 1, 2 or 6."""
        return self.resolution // 10

    @property
    def blind(self) -> int:
        """Blind pixels per side, removed at L1B."""
        return self.blind_valid + self.blind_invalid

    @property
    def useful_columns(self) -> int:
        """Raw pixels that see the ground."""
        return self.raw_columns - 2 * self.blind

    @property
    def binning(self) -> int:
        """Raw pixels in one L1B pixel, across track (3 at 60 m, else 1)."""
        return self.useful_columns // self.columns

    @property
    def packets_per_scene(self) -> int:
        """Instrument source packets of one detector in one scene."""
        return self.lines_per_scene // 16

    @property
    def blind_columns(self) -> tuple[int, ...]:
        """Raw columns of the valid blind pixels of both sides, 0-based."""
        right = self.raw_columns - self.blind_valid
        return (*range(self.blind_valid), *range(right, self.raw_columns))


def _read() -> Iterator[Band]:
    text = files("s2dask.instrument").joinpath("data/bands.csv").read_text("utf-8")
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        yield Band(
            name=row["band"],
            index=int(row["index"]),
            focal_plane=row["focal_plane"],
            resolution=int(row["resolution"]),
            raw_columns=int(row["raw_columns"]),
            blind_valid=int(row["blind_valid"]),
            blind_invalid=int(row["blind_invalid"]),
            columns=int(row["columns"]),
            lines_per_scene=int(row["lines_per_scene"]),
            chronogram_lines=int(row["chronogram_lines"]),
            tdi=row["tdi"] == "yes",
            focal_plane_order=int(row["focal_plane_order"]),
            radiance_min=float(row["radiance_min"]),
            radiance_reference=float(row["radiance_reference"]),
            radiance_max=float(row["radiance_max"]),
            compression_rate=float(row["compression_rate"]),
            packet_length=int(row["packet_length"]),
        )


BANDS: Final = MappingProxyType({b.name: b for b in _read()})
"""Every band by name, in the mission's order B01 … B8A, B09 … B12."""


def band(name: str) -> Band:
    """Return the band of that name; `ConfigurationError` names what exists."""
    try:
        return BANDS[name]
    except KeyError:
        raise ConfigurationError("no such band", name, f"one of {', '.join(BANDS)}") from None


@cache
def bands_of(resolution: int) -> tuple[str, ...]:
    """Return the names of the bands of one resolution, in the mission's order."""
    return tuple(b.name for b in BANDS.values() if b.resolution == resolution)
