"""Level-1A of one band and detector: source packets to raw lines, as the converter gave them, with their quality."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_equalisation import read_r2eob2
from s2dask.auxdata.gipp_rearrangement import read_r2swir
from s2dask.auxdata.gipp_scenario import read_r2para
from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError, InputError
from s2dask.graph.step import Step
from s2dask.instrument import DETECTORS, LINES_PER_PACKET
from s2dask.l1a.equalisation import InverseTable, inverse_table, undo_equalisation
from s2dask.l1a.line_quality import DEGRADED, raw_quality
from s2dask.l1a.rearrangement import arrangement_taps, rearrange

STEPS: Final = (
    Step("DECOMP", "L1A", gipp=("BLINDP", "R2EOB2"), summary="source packets to raw lines, equalisation undone"),
    Step("RADIO_AB", "L1A", gipp=("R2PARA", "R2SWIR"), summary="quality layer, SWIR lines re-arranged where asked for"),
)
"""The steps of the level."""
SWIR: Final = ("B10", "B11", "B12")
THIRDS: Final = "B10"
"""Whose SWIR lines are 60 m apart: shifted by lines of 20 m, it is interpolated."""


class Codec(Protocol):
    """What turns source packets into lines."""

    def decode(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return (16 packet, raw_column) uint16 counts and (16 packet) bool bad lines of (packet, byte) packets."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LineParameters:
    """What the GIPPs say about the raw lines of a detector.

    Attributes
    ----------
    inverse : mapping of str to InverseTable
        By band; none when the instrument did not equalise.
    taps : mapping of str to (3, raw_column) float32
        Filters of the SWIR bands; none when L1A is not re-arranged, as in operations.
    """

    inverse: Mapping[str, InverseTable]
    taps: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class RawLines:
    """Raw lines of one band.

    Attributes
    ----------
    counts : (line, raw_column) uint16 [LSB]
        Of the converter, blind pixels included; 0 in bad lines.
    bad, degraded : (line) bool
        Lines without usable counts; lines kept from degraded packets.
    """

    counts: NDArray[np.uint16]
    bad: NDArray[np.bool_]
    degraded: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RawGranule:
    """The L1A image of one band of a granule.

    Attributes
    ----------
    counts : (line, raw_column) uint16 [LSB]
    quality : (line, raw_column) uint16
        `s2dask.instrument.quality` bits and the detector.
    """

    counts: NDArray[np.uint16]
    quality: NDArray[np.uint16]


@lru_cache(maxsize=16)
def line_parameters(gipps: GippSet, detector: int, bands: tuple[str, ...], nuc_table: int | None) -> LineParameters:
    """Return what the GIPPs say about the raw lines of a detector.

    Parameters
    ----------
    gipps : GippSet
        Without an R2PARA the lines are not re-arranged: so real products are made.
    detector : int
        1 to 12.
    bands : tuple of str
    nuc_table : int or None
        Table that the instrument equalised with (``NUC_TABLE_ID``); None when it did not.
    """
    inverse = {}
    if nuc_table is not None:
        for name in bands:
            found = read_r2eob2(gipps.path("R2EOB2", name), gipps.unit, name, (detector,)).table(nuc_table, detector)
            inverse[name] = inverse_table(found.dark, found.a1, found.a2, found.zs)
    taps = {}
    if is_rearranged(gipps):
        staggered = read_r2swir(gipps.path("R2SWIR"), gipps.unit, (detector,))
        for name in set(SWIR) & set(bands):
            third = staggered.filter.coefficients if name == THIRDS else None
            taps[name] = arrangement_taps(staggered.lines[name, detector], third)
    return LineParameters(inverse, taps)


def is_rearranged(gipps: GippSet) -> bool:
    """Return whether the scenario asks for re-arranged SWIR lines at L1A (R2PARA ``SWIR_REARRANGEMENT``)."""
    return gipps.has("R2PARA") and read_r2para(gipps.path("R2PARA"), gipps.unit).swir_rearrangement


def decode_lines(
    packets: NDArray[np.uint8],
    status: NDArray[np.uint8],
    codec: Codec,
    detector: int,
    inverse: InverseTable | None = None,
) -> RawLines:
    """Decode the source packets of one band and detector, 16 lines each, and undo the on-board equalisation.

    Parameters
    ----------
    packets : (packet, byte) uint8
    status : (packet) uint8
        0 complete, `line_quality.LOST` or `DEGRADED`.
    codec : Codec
    detector : int
        1 to 12.
    inverse : InverseTable, optional
        When the instrument equalised.
    """
    where = f"D{detector:02d}"
    if detector not in DETECTORS:
        raise ConfigurationError("no such detector", where)
    if packets.ndim != 2 or status.shape != packets.shape[:1]:
        raise InputError(f"{status.size} states for packets of shape {packets.shape}", where)
    counts, bad = codec.decode(packets, status)
    lines = status.size * LINES_PER_PACKET
    if counts.shape[:1] != (lines,) or bad.shape != (lines,):
        raise InputError(f"{counts.shape[0]} lines from {status.size} packets", where, "the codec does not fit them")
    if inverse is not None:
        if counts.shape[1:] != inverse.knee.shape:
            columns = counts.shape[1]
            raise InputError(f"{columns} columns, the on-board table has {inverse.knee.size}", where)
        counts = undo_equalisation(counts, inverse)
    if bad.any():
        counts[bad] = 0
    return RawLines(counts, bad, np.repeat(status == DEGRADED, LINES_PER_PACKET) & ~bad)


def finish_lines(
    raw: RawLines,
    ancillary: NDArray[np.uint8],
    detector: int,
    taps: NDArray[np.float32] | None = None,
    window: tuple[int, int] | None = None,
) -> RawGranule:
    """Return the L1A image of raw lines.

    Parameters
    ----------
    raw : RawLines
        With `rearrangement.MARGIN` lines around the window where there are taps.
    ancillary : (line) uint8
        As `line_quality.ancillary_flags` makes them.
    detector : int
        1 to 12.
    taps : (3, raw_column) float32, optional
        Filter that re-arranges a SWIR band.
    window : (int, int), optional
        Range of indices into the lines to return; default: all.
    """
    start, stop = window or (0, raw.bad.size)
    if not 0 <= start <= stop <= raw.bad.size or ancillary.shape != raw.bad.shape:
        what = f"lines {start} to {stop} and {ancillary.size} flags of {raw.bad.size} lines"
        raise ConfigurationError(what, f"D{detector:02d}")
    if taps is None:
        part = slice(start, stop)
        quality = raw_quality(raw.counts[part], raw.bad[part], raw.degraded[part], ancillary[part], detector)
        return RawGranule(raw.counts[part], quality)
    quality = raw_quality(raw.counts, raw.bad, raw.degraded, ancillary, detector)
    return RawGranule(*rearrange(raw.counts, quality, taps, start, stop))
