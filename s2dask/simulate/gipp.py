"""The GIPP files of a simulated session, in the structure of the operational ones."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_binning import BINNED, KERNEL_SHAPE, Binning, binning
from s2dask.auxdata.gipp_defect_filters import DefectFilter, DefectFilters
from s2dask.auxdata.gipp_equalisation import OnboardEqualisation
from s2dask.auxdata.gipp_file import Gipp, GippHeader, write_gipp_record
from s2dask.auxdata.gipp_geometry import SpacecraftModel, ViewingDirections
from s2dask.auxdata.gipp_radiometry import (
    AbsoluteCalibration,
    BlindPixels,
    CrosstalkCorrection,
    DefectivePixels,
    DetectorResponse,
    GroundEqualisation,
)
from s2dask.auxdata.gipp_radiometry_text import (
    write_blindp,
    write_r2abca,
    write_r2crco,
    write_r2depi,
    write_r2eqog,
)
from s2dask.auxdata.gipp_rearrangement import SwirRearrangement
from s2dask.auxdata.gipp_record import Taps
from s2dask.auxdata.gipp_restoration import BandNoise, NoiseModel
from s2dask.auxdata.gipp_scenario import RadiometricScenario, operational_scenario
from s2dask.instrument import BANDS, unit
from s2dask.simulate.effects import NONE, NUC_TABLES, Effects
from s2dask.simulate.gipp_restoration import restoration
from s2dask.simulate.sensor import CROSSTALK, TRIO, DetectorState, Leaks

VALIDITY: Final = "V20150622T000000_21000101T000000"
CREATION: Final = "20200801T000000"
Written = Gipp | ViewingDirections | SpacecraftModel
G = TypeVar("G", bound=Written)
_REMARK: Final = "simulated by s2dask: not a calibration of the satellite"
RESTORATION_MARGIN: Final = 50
"""Lines that operations give to the restoration."""
LONGEST_DEFECT: Final = 3
"""Run of defective columns that has filters of its own."""


def gipp_name(satellite: str, kind: str, band: str = "B00") -> str:
    """Return the name of a GIPP file."""
    return f"{satellite}_OPER_GIP_{kind}_MPC__{CREATION}_{VALIDITY}_{band}.DBL"


def _header(name: str) -> GippHeader:
    return replace(GippHeader.of_name(name), parameter_id=_REMARK)


def equalisation(satellite: str, band: str, states: Mapping[int, DetectorState]) -> GroundEqualisation:
    """Return GIP_R2EQOG of a band: dark signal and relative response of its detectors."""
    model = "CUBIC" if BANDS[band].focal_plane == "VNIR" else "BI-LINEAR"
    tables = {d: DetectorResponse(model, state.dark, state.response) for d, state in states.items()}
    return GroundEqualisation(satellite, gipp_name(satellite, "R2EQOG", band), band, tables)


def absolute_calibration(satellite: str) -> AbsoluteCalibration:
    """Return GIP_R2ABCA with the gains and irradiances of the unit's table."""
    table = unit(satellite).bands
    gains = {name: v.gain for name, v in table.items()}
    suns = {name: v.solar_irradiance for name, v in table.items()}
    return AbsoluteCalibration(satellite, gipp_name(satellite, "R2ABCA"), gains, suns)


def _matrix(leaks: Leaks) -> NDArray[np.float64]:
    return np.array([[leaks.get((victim, source), 0.0) for source in BANDS] for victim in BANDS])


def crosstalk(satellite: str, optical: Leaks) -> CrosstalkCorrection:
    """Return GIP_R2CRCO with the electronic crosstalk that the simulated read-out has, and an optical one."""
    return CrosstalkCorrection(satellite, gipp_name(satellite, "R2CRCO"), _matrix(optical), _matrix(CROSSTALK))


def defective_pixels(satellite: str, states: Mapping[tuple[str, int], DetectorState]) -> DefectivePixels:
    """Return GIP_R2DEPI with the defective raw columns of (band, detector)."""
    found = {(kind, *key): columns for key, state in states.items() for kind, columns in state.defects.items()}
    return DefectivePixels(satellite, gipp_name(satellite, "R2DEPI"), found)


def defect_filters(satellite: str, band: str) -> DefectFilters:
    """Return GIP_R2DEFI of a band: short runs of defective columns are interpolated linearly from side to side."""
    filters = []
    for run in range(1, LONGEST_DEFECT + 1):
        share = np.arange(1, run + 1) / (run + 1)
        filters.append(DefectFilter(run, 1, 1, np.stack([1 - share, share], -1)))
    return DefectFilters(satellite, gipp_name(satellite, "R2DEFI", band), band, tuple(filters))


def onboard_equalisation(satellite: str, band: str, detectors: Iterable[int], effects: Effects) -> OnboardEqualisation:
    """Return GIP_R2EOB2 of a band: the NUC tables of its detectors."""
    tables = {k: {d: effects.onboard[band, d][k] for d in detectors} for k in NUC_TABLES}
    return OnboardEqualisation(satellite, gipp_name(satellite, "R2EOB2", band), band, tables)


def swir_rearrangement(satellite: str, detectors: Iterable[int], effects: Effects) -> SwirRearrangement:
    """Return GIP_R2SWIR: how the arrays are staggered, and the parabola that moves B10 by a third of a line."""
    third = Taps(3, 1, 1, np.array([2.0, 8.0, -1.0]) / 9)
    straight = {name: np.zeros(BANDS[name].raw_columns, np.int8) for name in TRIO}
    lines = {(name, d): effects.stagger.get((name, d), straight[name]) for name in TRIO for d in detectors}
    return SwirRearrangement(satellite, gipp_name(satellite, "R2SWIR"), third, lines)


def mean_of_three(satellite: str) -> Binning:
    """Return GIP_R2BINN: the mean of three columns."""
    kernel = np.zeros(KERNEL_SHAPE)
    kernel[1, 2:5] = 1 / 3
    return binning(satellite, dict.fromkeys(BINNED, kernel), gipp_name(satellite, "R2BINN"))


def noise_model(satellite: str) -> NoiseModel:
    """Return GIP_R2NOMO with the noise of the unit's table."""
    bands = {name: BandNoise(v.noise_alpha, v.noise_beta) for name, v in unit(satellite).bands.items()}
    return NoiseModel(satellite, gipp_name(satellite, "R2NOMO"), bands)


def scenario(satellite: str, effects: Effects) -> RadiometricScenario:
    """Return GIP_R2PARA: that of operations, and the optical crosstalk where there is one.

    Notes
    -----
    Saturated pixels are looked for in the raw counts: the simulated response brings none to the end of the range later.
    """
    usual = operational_scenario(satellite, gipp_name(satellite, "R2PARA"))
    margins = dict.fromkeys(BANDS, RESTORATION_MARGIN)
    return replace(usual, crosstalk_optical=bool(effects.optical), saturated_pixels="L1A", spatial_margins=margins)


def blind_pixels(satellite: str, detectors: Iterable[int]) -> BlindPixels:
    """Return GIP_BLINDP: the outer pixels of each side are usable, the inner ones are not."""
    valid, invalid = {}, {}
    for b in BANDS.values():
        last = b.raw_columns
        for d in detectors:
            valid[b.name, d] = (*range(b.blind_valid), *range(last - b.blind_valid, last))
            invalid[b.name, d] = (*range(b.blind_valid, b.blind), *range(last - b.blind, last - b.blind_valid))
    return BlindPixels(satellite, gipp_name(satellite, "BLINDP"), valid, invalid)


def _signed(value: G) -> G:
    """Return a GIPP with the header that tells what it is."""
    return replace(value, header=_header(value.file))


def _write(folder: Path, *values: Written) -> None:
    """Write GIPPs that are records: one writer serves them all."""
    for value in values:
        (folder / value.file).write_text(write_gipp_record(_signed(value)), "utf-8")


def write_radiometric(
    folder: Path,
    satellite: str,
    detectors: tuple[int, ...],
    states: Mapping[tuple[str, int], DetectorState],
    effects: Effects = NONE,
) -> None:
    """Write the radiometric GIPPs of a session.

    Parameters
    ----------
    folder : Path
    satellite : str
    detectors : tuple of int
    states : mapping of (str, int) to DetectorState
        By (band, detector).
    effects : Effects
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "R2ABCA": write_r2abca(_signed(absolute_calibration(satellite))),
        "R2CRCO": write_r2crco(_signed(crosstalk(satellite, effects.optical))),
        "R2DEPI": write_r2depi(_signed(defective_pixels(satellite, states))),
        "BLINDP": write_blindp(_signed(blind_pixels(satellite, detectors))),
    }
    for kind, text in texts.items():
        (folder / gipp_name(satellite, kind)).write_text(text, "utf-8")
    _write(folder, scenario(satellite, effects), noise_model(satellite), mean_of_three(satellite))
    _write(folder, swir_rearrangement(satellite, detectors, effects))
    for band in dict.fromkeys(name for name, _ in states):
        text = write_r2eqog(_signed(equalisation(satellite, band, {d: states[band, d] for d in detectors})))
        (folder / gipp_name(satellite, "R2EQOG", band)).write_text(text, "utf-8")
        _write(folder, defect_filters(satellite, band))
        if effects.onboard:
            _write(folder, onboard_equalisation(satellite, band, detectors, effects))
        _write(folder, *restoration(satellite, band, partial(gipp_name, satellite, band=band)))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values of 15 digits, as a published file has them."""
    return np.array([float(f"{v:.15g}") for v in values.ravel()]).reshape(values.shape)


def write_geometric(
    folder: Path, satellite: str, directions: Iterable[ViewingDirections], model: SpacecraftModel
) -> None:
    """Write GIP_VIEDIR of each band and GIP_SPAMOD."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in directions:
        tangents = {key: _rounded(values) for key, values in one.tangents.items()}
        _write(folder, replace(one, unit=satellite, file=gipp_name(satellite, "VIEDIR", one.band), tangents=tangents))
    _write(folder, replace(model, unit=satellite, file=gipp_name(satellite, "SPAMOD")))
