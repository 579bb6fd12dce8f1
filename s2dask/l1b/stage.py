"""Level-1B of one detector: the steps in their order, from raw lines to coded counts and quality."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_radiometry import read_blindp, read_r2abca, read_r2crco, read_r2depi, read_r2eqog
from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError
from s2dask.graph.step import Step
from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import DETECTOR_SHIFT, PARTIALLY_CORRECTED
from s2dask.l1b.crosstalk import TRIO
from s2dask.l1b.parameters import MEAN_OF_THREE, RadiometricParameters, band_parameters
from s2dask.l1b.raw_lines import RawLines
from s2dask.l1b.relative_response import BILINEAR, CUBIC
from s2dask.l1b.single_pass import Chain, Source, correct_lines
from s2dask.l1b.statistics import band_statistics
from s2dask.l1b.step_by_step import intermediate

STEPS: Final = (
    Step(
        "RADIO_AB",
        "L1B",
        gipp=("BLINDP", "R2EQOG", "R2CRCO", "R2DEPI"),
        summary="dark signal, line offset, crosstalk, relative response, defective pixels, missing lines, binning",
    ),
    Step("RADIO_FINALIZE", "L1B", gipp=("R2ABCA",), summary="offset, coding, quality layer, physical gains"),
)
"""The steps of the level; one pass over the pixels does both."""


@dataclass(frozen=True, slots=True, eq=False)
class GranuleBand:
    """One band of a granule.

    Attributes
    ----------
    counts : (line, column) uint16 [DN]
    quality : (line, column) uint16
        `s2dask.instrument.quality` bits and the detector.
    """

    counts: NDArray[np.uint16]
    quality: NDArray[np.uint16]

    def statistics(self) -> dict[str, float]:
        """Return the numbers that quality control keeps of this band."""
        return band_statistics(self.counts, self.quality)


@lru_cache(maxsize=16)
def radiometric_parameters(
    gipps: GippSet,
    detector: int,
    bands: tuple[str, ...] = tuple(BANDS),
    binning: tuple[float, ...] = MEAN_OF_THREE,
    missing_lines: int = 3,
) -> RadiometricParameters:
    """Return the parameters of a detector from a set of GIPPs.

    Parameters
    ----------
    gipps : GippSet
    detector : int
        1 to 12.
    bands : tuple of str
    binning : tuple of float
        Across-track filter of the 60 m bands.
    missing_lines : int
        Longest run of missing lines that is interpolated [line].
    """
    blind = read_blindp(gipps.path("BLINDP"), gipps.unit)
    absolute = read_r2abca(gipps.path("R2ABCA"), gipps.unit)
    crosstalk = read_r2crco(gipps.path("R2CRCO"), gipps.unit)
    defective = read_r2depi(gipps.path("R2DEPI"), gipps.unit)
    parameters = {}
    for name in bands:
        response = read_r2eqog(gipps.path("R2EQOG", name), gipps.unit, name, (detector,)).detectors[detector]
        parameters[name] = band_parameters(
            name,
            dark=response.dark,
            blind=blind.valid[name, detector],
            model=CUBIC if response.model == "CUBIC" else BILINEAR,
            response=response.coefficients,
            defective=defective.columns.get((name, detector), ()),
            gain=absolute.gains[name],
            solar_irradiance=absolute.solar_irradiance[name],
            binning=binning,
        )
    return RadiometricParameters(
        gipps.unit,
        detector,
        parameters,
        crosstalk=crosstalk.electrical,
        missing_lines=missing_lines,
        gipp_id=gipps.id,
    )


def margins(parameters: RadiometricParameters) -> dict[str, int]:
    """Return the lines that each band needs before and after a window for a result that no cut can change.

    Notes
    -----
    Missing lines look `missing_lines` away. A line of B10 at that distance takes its crosstalk from three lines of B11
    and B12. Windows of the three bands must cover the same time: lines ``3 a`` to ``3 b`` of B11 and B12 for ``a`` to
    ``b`` of B10.
    """
    longest = parameters.missing_lines
    return {name: longest * (3 if name in TRIO[1:] else 1) for name in parameters.bands}


def _raw_lines(
    name: str, first_line: int, lines: NDArray[np.uint16], bad: NDArray[np.bool_], parameters: RadiometricParameters
) -> RawLines:
    b, p = band(name), parameters.bands[name]
    if lines.ndim != 2 or lines.shape[1] != b.raw_columns or lines.dtype != np.uint16:
        raise ConfigurationError(f"raw lines of shape {lines.shape} and type {lines.dtype}", name)
    if bad.shape != lines.shape[:1]:
        raise ConfigurationError(f"{bad.size} line flags for {lines.shape[0]} lines", name)
    # Read-only views: one compiled form of the kernels serves arrays of any origin.
    values, flags = np.ascontiguousarray(lines).view(), np.ascontiguousarray(bad, np.bool_).view()
    values.setflags(write=False)
    flags.setflags(write=False)
    return RawLines(
        values, flags, first_line, b.line_factor, p.dark, p.blind, b.blind, b.useful_columns, parameters.saturation
    )


def _sources(
    name: str, raw: Mapping[str, RawLines], parameters: RadiometricParameters
) -> tuple[tuple[Source, Source], bool]:
    """Return the bands that leak into one, and whether one that does is not there."""
    off = Source(raw[name], 0.0)
    if name not in TRIO:
        return (off, off), False
    sources, complete = [], True
    for other in TRIO:
        if other == name:
            continue
        coefficient = float(parameters.crosstalk[band(name).index, band(other).index])
        if other in raw:
            sources.append(Source(raw[other], coefficient))
        else:
            sources.append(off)
            complete = complete and coefficient == 0
    return (sources[0], sources[1]), not complete


def _chain(
    name: str, raw: Mapping[str, RawLines], degraded: NDArray[np.bool_] | None, parameters: RadiometricParameters
) -> Chain:
    p = parameters.bands[name]
    sources, incomplete = _sources(name, raw, parameters)
    return Chain(
        raw[name],
        np.zeros(raw[name].bad.size, np.bool_) if degraded is None else np.array(degraded, np.bool_),
        sources,
        p.model,
        p.response,
        p.defects,
        p.binning,
        (parameters.detector << DETECTOR_SHIFT) | (PARTIALLY_CORRECTED if incomplete else 0),
        parameters.shift,
        parameters.missing_lines,
    )


@overload
def process_granule(
    detector: int,
    first_line: Mapping[str, int],
    lines: Mapping[str, NDArray[np.uint16]],
    bad: Mapping[str, NDArray[np.bool_]],
    parameters: RadiometricParameters,
    until: None = None,
    *,
    window: Mapping[str, tuple[int, int]] | None = None,
    degraded: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, GranuleBand]: ...


@overload
def process_granule(
    detector: int,
    first_line: Mapping[str, int],
    lines: Mapping[str, NDArray[np.uint16]],
    bad: Mapping[str, NDArray[np.bool_]],
    parameters: RadiometricParameters,
    until: str,
    *,
    window: Mapping[str, tuple[int, int]] | None = None,
    degraded: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, NDArray[np.float32]]: ...


def process_granule(
    detector: int,
    first_line: Mapping[str, int],
    lines: Mapping[str, NDArray[np.uint16]],
    bad: Mapping[str, NDArray[np.bool_]],
    parameters: RadiometricParameters,
    until: str | None = None,
    *,
    window: Mapping[str, tuple[int, int]] | None = None,
    degraded: Mapping[str, NDArray[np.bool_]] | None = None,
) -> dict[str, GranuleBand] | dict[str, NDArray[np.float32]]:
    """Correct the bands of one detector.

    Parameters
    ----------
    detector : int
        1 to 12.
    first_line : mapping of str to int
        Absolute number of the first line of each band, counted from the start of the datatake: it sets the phase of
        the chronogram and pairs B10 with B11 and B12.
    lines : mapping of str to (line, raw_column) uint16 [LSB]
        Raw lines of any of the bands, with their `margins`. A SWIR band that is not there leaves its crosstalk in the
        other two, which are flagged as partially corrected.
    bad : mapping of str to (line) bool
        Lines without usable counts.
    parameters : RadiometricParameters
        Of this detector.
    until : str, optional
        A step of `step_by_step.INTERMEDIATES`: its image is returned [LSB], instead of the finished granule.
    window : mapping of str to (int, int), optional
        Absolute lines to return, first and last + 1, of the bands to return; everything by default. The other lines and
        bands only serve as neighbours and crosstalk sources.
    degraded : mapping of str to (line) bool, optional
        Lines kept from degraded packets, which are flagged.

    Returns
    -------
    dict of str to GranuleBand, or to (line, column) float32 [LSB] with `until`
    """
    if detector != parameters.detector:
        raise ConfigurationError(f"parameters of detector {parameters.detector}", f"D{detector:02d}")
    strangers = [name for name in (*lines, *(window or {})) if name not in lines or name not in parameters.bands]
    if strangers:
        raise ConfigurationError(f"no lines or no parameters of {', '.join(strangers)}", f"D{detector:02d}")
    raw = {name: _raw_lines(name, first_line[name], lines[name], bad[name], parameters) for name in lines}
    kept = degraded or {}
    targets = tuple(raw if window is None else window)
    chains = {name: _chain(name, raw, kept.get(name), parameters) for name in targets}
    ranges = {name: _range(name, raw[name], window) for name in targets}
    if until is not None:
        return {name: intermediate(chains[name], until, *ranges[name]) for name in targets}
    return {name: _finish(name, chains[name], *ranges[name]) for name in targets}


def _finish(name: str, chain: Chain, start: int, stop: int) -> GranuleBand:
    counts = np.empty((stop - start, band(name).columns), np.uint16)
    quality = np.empty_like(counts)
    correct_lines(chain, start, stop, counts, quality)
    return GranuleBand(counts, quality)


def _range(name: str, raw: RawLines, window: Mapping[str, tuple[int, int]] | None) -> tuple[int, int]:
    if window is None:
        return 0, raw.bad.size
    start, stop = (line - raw.first_line for line in window[name])
    if not 0 <= start <= stop <= raw.bad.size:
        raise ConfigurationError(f"window {window[name]} outside the lines given", name)
    return start, stop
