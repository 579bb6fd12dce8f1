"""Level-1B of one detector: the GIPPs that its steps take, as the parameters of the correction.

What a caller needs, in its order: `radiometric_parameters` of the detector; `sources`, the bands whose lines must be
decoded; `margins`, how many lines more; `process_granule`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.auxdata.gipp_binning import Binning, read_r2binn
from s2dask.auxdata.gipp_defect_filters import read_r2defi
from s2dask.auxdata.gipp_filters import InternalFilter
from s2dask.auxdata.gipp_radiometry import read_blindp, read_r2abca, read_r2crco, read_r2depi, read_r2eqog
from s2dask.auxdata.gipp_rearrangement import SwirRearrangement, read_r2swir
from s2dask.auxdata.gipp_restoration import (
    NoiseModel,
    read_r2dect,
    read_r2dent,
    read_r2l2nc,
    read_r2nomo,
    read_r2wafi,
)
from s2dask.auxdata.gipp_scenario import RadiometricScenario, read_r2para
from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError, InputError
from s2dask.graph.step import Step
from s2dask.instrument import BANDS, band
from s2dask.instrument.units import unit
from s2dask.l1b.binning import MEAN_OF_THREE
from s2dask.l1b.defective_pixels import Defects, configured_taps, defects, linear_taps
from s2dask.l1b.granule import GranuleBand, margins, process_granule, sources
from s2dask.l1b.parameters import (
    NEVER_SATURATED,
    BandParameters,
    RadiometricParameters,
    band_parameters,
)
from s2dask.l1b.parameters import (
    STEPS as CORRECTIONS,
)
from s2dask.l1b.relative_response import BILINEAR, CUBIC
from s2dask.l1b.restoration.deconvolution import kernel_of_transfer
from s2dask.l1b.restoration.plan import (
    BOTH,
    CONVOLUTION,
    DENOISING,
    DenoisingParameters,
    RestorationPlan,
    norm_thresholds,
    restoration_plan,
    table_thresholds,
)
from s2dask.l1b.restoration.wavelet_packets import FilterPair
from s2dask.l1b.swir_rearrangement import arrangement_taps

__all__ = [
    "CORRECTIONS",
    "STEPS",
    "GranuleBand",
    "margins",
    "process_granule",
    "radiometric_parameters",
    "sources",
]

STEPS: Final = (
    Step(
        "RADIO_AB",
        "L1B",
        gipp=(
            "BLINDP",
            "R2EQOG",
            "R2CRCO",
            "R2DEPI",
            "R2PARA",
            "R2SWIR",
            "R2DEFI",
            "R2BINN",
            "R2NOMO",
            "R2DECT",
            "R2DENT",
            "R2WAFI",
            "R2L2NC",
        ),
        summary="dark signal, line offset, crosstalk, relative response, SWIR re-arrangement, defective pixels, "
        "missing lines, restoration, binning",
    ),
    Step("RADIO_FINALIZE", "L1B", gipp=("R2ABCA",), summary="offset, coding, quality layer, physical gains"),
)
"""The steps of the level; one pass over the pixels does both, and the restoration where it is on."""

DEFAULT_GAP: Final = 3
"""Longest run of missing lines that is interpolated where no GIP_R2PARA says it [line]."""
LARGEST_COUNT: Final = 4095
"""End of the twelve bits [LSB]."""


@lru_cache(maxsize=16)
def radiometric_parameters(
    gipps: GippSet,
    detector: int,
    bands: tuple[str, ...] = tuple(BANDS),
    binning: tuple[float, ...] | None = None,
    missing_lines: int | None = None,
) -> RadiometricParameters:
    """Return the parameters of a detector from a set of GIPPs.

    Parameters
    ----------
    gipps : GippSet
    detector : int
        1 to 12.
    bands : tuple of str
        With those that leak into them (`sources`): all thirteen where the optical crosstalk is on.
    binning : tuple of float, optional
        Across-track filter of the 60 m bands, in the place of GIP_R2BINN.
    missing_lines : int, optional
        Longest run of missing lines that is interpolated, in the place of GIP_R2PARA [line].

    Notes
    -----
    BLINDP, R2EQOG, R2CRCO, R2DEPI and R2ABCA must be there. Without GIP_R2PARA everything is corrected but the optical
    crosstalk, with gaps of up to three lines and no restoration; without R2BINN the binning is the mean of three
    columns; without R2DEFI defective pixels are interpolated linearly, as they are where no filter fits; without R2SWIR
    nothing is re-arranged; without R2NOMO the noise is that of the unit's published characterisation.
    """
    blind = read_blindp(gipps.path("BLINDP"), gipps.unit)
    absolute = read_r2abca(gipps.path("R2ABCA"), gipps.unit)
    crosstalk = read_r2crco(gipps.path("R2CRCO"), gipps.unit)
    scenario = read_r2para(gipps.path("R2PARA"), gipps.unit) if gipps.has("R2PARA") else None
    kernels = read_r2binn(gipps.path("R2BINN"), gipps.unit) if gipps.has("R2BINN") else None
    swir = read_r2swir(gipps.path("R2SWIR"), gipps.unit, (detector,)) if gipps.has("R2SWIR") else None
    model = read_r2nomo(gipps.path("R2NOMO"), gipps.unit) if gipps.has("R2NOMO") else None
    parameters = {}
    for name in bands:
        response = read_r2eqog(gipps.path("R2EQOG", name), gipps.unit, name, (detector,)).detectors[detector]
        noise = _noise(name, gipps.unit, model)
        full = band_parameters(
            name,
            dark=response.dark,
            blind=blind.valid[name, detector],
            model=CUBIC if response.model == "CUBIC" else BILINEAR,
            response=response.coefficients,
            defective=_defects(gipps, name, detector, scenario),
            gain=absolute.gains[name],
            solar_irradiance=absolute.solar_irradiance[name],
            binning=_binning(name, kernels) if binning is None else binning,
            arrangement=_arrangement(name, detector, swir),
            missing_lines=_longest_gap(name, scenario) if missing_lines is None else missing_lines,
            noise=noise,
            restoration=_restoration(gipps, name, scenario, noise),
        )
        parameters[name] = full if scenario is None else _switched(full, scenario)
    electronic, optical = scenario is None or scenario.crosstalk_electronic, scenario and scenario.crosstalk_optical
    saturated = "L1A" if scenario is None else scenario.saturated_pixels
    return RadiometricParameters(
        gipps.unit,
        detector,
        parameters,
        crosstalk=crosstalk.electrical if electronic else np.zeros_like(crosstalk.electrical),
        optical=crosstalk.optical if optical else np.zeros_like(crosstalk.optical),
        shift=100 if scenario is None else -scenario.radiance_offset_l1b,
        saturation=LARGEST_COUNT if saturated in ("L1A", "BOTH") else NEVER_SATURATED,
        end_of_range=float(LARGEST_COUNT) if saturated in ("L1B", "BOTH") else float("inf"),
        gipp_id=gipps.id,
    )


def _switched(p: BandParameters, scenario: RadiometricScenario) -> BandParameters:
    """Return the parameters of a band without what the scenario leaves out."""
    if not scenario.remove_blind_pixels:
        raise ConfigurationError(
            "blind pixels are to stay", f"{scenario.file} NOMINAL_SCENARIO/REMOVE_BLIND_PIXELS", "L1B has none: true"
        )
    on = {
        "dark_signal": scenario.dark_signal[p.name],
        "blind_pixels": scenario.offset[p.name],
        "relative_response": scenario.equalization[p.name],
        "defective_pixels": scenario.defective_pixels,
        "missing_lines": scenario.no_data_pixels,
        "binning": scenario.binning,
    }
    return p.without([step for step, done in on.items() if not done])


def _noise(name: str, unit_name: str, model: NoiseModel | None) -> tuple[float, float]:
    if model is not None:
        return model.alpha[name], model.beta[name]
    values = unit(unit_name).bands[name]
    return values.noise_alpha, values.noise_beta


def _longest_gap(name: str, scenario: RadiometricScenario | None) -> int:
    if scenario is None:
        return DEFAULT_GAP
    gaps = scenario.missing_lines[name]
    if not isinstance(gaps.filter, InternalFilter) or gaps.filter.name != "BLN":
        raise ConfigurationError(
            f"missing lines of {name} by another filter than BLN",
            f"{scenario.file} PIXELS_NO_DATA_PARAMETERS/BAND/INTERPOLATION_FILTER",
            "missing lines are interpolated linearly: INTERNAL_FILTER BLN",
        )
    return gaps.threshold


def _binning(name: str, kernels: Binning | None) -> ArrayLike:
    b = band(name)
    if kernels is None or b.binning == 1:
        return MEAN_OF_THREE
    if kernels.step[name] != b.binning:
        raise InputError(
            f"BAND/STEP of {name}: {kernels.step[name]}", kernels.file, f"{b.useful_columns} columns become {b.columns}"
        )
    return kernels.kernels[name]


def _arrangement(name: str, detector: int, swir: SwirRearrangement | None) -> NDArray[np.float32] | None:
    b = band(name)
    if swir is None or b.focal_plane != "SWIR":
        return None
    if (name, detector) not in swir.lines:
        raise InputError(f"SWIR_BAND_LIST/SWIR_BAND of {name}: no detector {detector}", swir.file, "add its table")
    useful = swir.lines[name, detector][b.blind : b.raw_columns - b.blind]
    return arrangement_taps(useful, name, swir.filter.coefficients)


def _defects(gipps: GippSet, name: str, detector: int, scenario: RadiometricScenario | None) -> Defects:
    b = band(name)
    listed = read_r2depi(gipps.path("R2DEPI"), gipps.unit).columns.get((name, detector), ())
    if scenario is not None and scenario.defective_management == "false":
        listed = ()
    filters = read_r2defi(gipps.path("R2DEFI", name), gipps.unit, name) if gipps.has("R2DEFI") else None
    taps = linear_taps if filters is None else configured_taps(filters.of)
    return defects([column - b.blind for column in listed], b.useful_columns, taps)


def _restoration(
    gipps: GippSet, name: str, scenario: RadiometricScenario | None, noise: tuple[float, float]
) -> RestorationPlan | None:
    """Return the restoration of a band; None where the scenario has none, as in operations."""
    kind = "NONE" if scenario is None else scenario.restoration[name]
    if scenario is None or kind == "NONE":
        return None
    given = scenario.restoration_parameters[name]
    kernel = denoising = None
    if kind in (CONVOLUTION, BOTH):
        transfer = read_r2dect(gipps.path("R2DECT", name), gipps.unit, name)
        kernel = kernel_of_transfer(transfer.values) if transfer.filter.kind == "FREQUENTIAL" else transfer.values
    if kind in (DENOISING, BOTH):
        largest, amplification = float(given.denoising.largest_count), given.denoising.l2_norm_amplification
        denoising = _denoising(gipps, name, noise, largest, amplification)
    return restoration_plan(
        kind, kernel, denoising, (float(given.lowest), float(given.highest)), scenario.spatial_margins[name]
    )


def _denoising(
    gipps: GippSet, name: str, noise: tuple[float, float], largest: float, amplification: float
) -> DenoisingParameters:
    wavelet = read_r2wafi(gipps.path("R2WAFI", name), gipps.unit, name)
    taps = (wavelet.low_analysis, wavelet.high_analysis, wavelet.low_synthesis, wavelet.high_synthesis)
    pair = FilterPair(*(one.coefficients for one in taps))
    table = read_r2dent(gipps.path("R2DENT", name), gipps.unit, name)
    levels: Mapping[int, NDArray[np.float64]] = table.levels
    if table.depth in levels:
        thresholds = table_thresholds(levels[table.depth], table.noise_sigma)
    else:
        norms = read_r2l2nc(gipps.path("R2L2NC", name), gipps.unit, name).levels
        if table.depth not in norms:
            raise InputError(f"no level {table.depth} of {name}", f"{table.file} DECOMPOSITION_LEVEL", "add its table")
        thresholds = norm_thresholds(norms[table.depth], amplification)
    return DenoisingParameters(pair, table.depth, thresholds, *noise, largest)
