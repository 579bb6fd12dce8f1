"""The GIPP files of a simulated session, in the structure of the operational ones."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from s2dask.auxdata.gipp_geometry import FrameRotation, SpacecraftModel, ViewingDirections
from s2dask.instrument import BANDS, unit
from s2dask.simulate.sensor import CROSSTALK, DetectorState

VALIDITY: Final = "V20150622T000000_21000101T000000"
CREATION: Final = "20200801T000000"


def gipp_name(satellite: str, kind: str, band: str = "B00") -> str:
    """Return the name of a GIPP file."""
    return f"{satellite}_OPER_GIP_{kind}_MPC__{CREATION}_{VALIDITY}_{band}.DBL"


def _document(root: str, satellite: str, data: str) -> str:
    return f"""<?xml version="1.0" encoding="utf-8"?>
<!-- simulated by s2dask: not a calibration of the satellite -->
<{root}>
<HEADER><SATELLITE>{satellite}</SATELLITE><SCHEME_VERSION>String</SCHEME_VERSION></HEADER>
<SPECIFIC_HEADER><VERSION_NUMBER>0001</VERSION_NUMBER></SPECIFIC_HEADER>
<DATA>
{data}
</DATA>
</{root}>
"""


def _numbers(values: ArrayLike, digits: int = 12) -> str:
    return " ".join(f"{v:.{digits}g}" for v in np.asarray(values))


def equalisation(satellite: str, band: str, states: Mapping[int, DetectorState]) -> str:
    """Return GIP_R2EQOG of a band: dark signal and relative response of its detectors."""
    b = BANDS[band]
    model, names = ("CUBIC", ("A", "B", "C")) if b.focal_plane == "VNIR" else ("BI-LINEAR", ("A1", "A2", "Zs"))
    tables = []
    for detector, state in states.items():
        rows = [f"<COEFF_{n}>{_numbers(v)}</COEFF_{n}>" for n, v in zip(names, state.response, strict=True)]
        lines = [f"<LINE{k + 1}>{_numbers(v)}</LINE{k + 1}>" for k, v in enumerate(state.dark)]
        rows.append(f"<COEFF_D><A_{b.resolution}M_BAND>{''.join(lines)}</A_{b.resolution}M_BAND></COEFF_D>")
        tables.append(
            f'<COEFFICIENTS detector_id="{detector:02d}"><NB_OF_PIXELS>{b.raw_columns}</NB_OF_PIXELS>'
            f"<GROUND_EQUALIZATION><{model}>{''.join(rows)}</{model}></GROUND_EQUALIZATION></COEFFICIENTS>"
        )
    tdi = "APPLIED" if b.tdi else "NO_TDI"
    data = f'<BAND_ID>{b.index}</BAND_ID><COEFFICIENTS_LIST tdi_config="{tdi}">{"".join(tables)}</COEFFICIENTS_LIST>'
    return _document("GS2_RADIOS2_EQUALIZATION_ONGROUND", satellite, data)


def absolute_calibration(satellite: str) -> str:
    """Return GIP_R2ABCA with the gains and irradiances of the unit's table."""
    rows = (
        f'<BAND band_id="{BANDS[name].index}"><PHYSICAL_GAINS>{v.gain}</PHYSICAL_GAINS>'
        f'<SOLAR_IRRADIANCE unit="W/m²/µm">{v.solar_irradiance}</SOLAR_IRRADIANCE></BAND>'
        for name, v in unit(satellite).bands.items()
    )
    return _document("GS2_ABSOLUTE_CALIBRATION", satellite, "\n".join(rows))


def crosstalk(satellite: str) -> str:
    """Return GIP_R2CRCO with the electronic crosstalk that the simulated read-out has."""
    rows = []
    for k, victim in enumerate(BANDS):
        electrical = [CROSSTALK.get((victim, source), 0.0) for source in BANDS]
        rows.append(
            f'<CROSSTALK_COEFF band_id_k="{k}"><OPTICAL>{_numbers(np.zeros(len(BANDS)))}</OPTICAL>'
            f"<ELECTRICAL>{_numbers(electrical)}</ELECTRICAL></CROSSTALK_COEFF>"
        )
    data = f"<CROSSTALK_COEFF_LIST>{''.join(rows)}</CROSSTALK_COEFF_LIST>"
    return _document("GS2_RADIOS2_CROSSTALK_CORRECTION", satellite, data)


def defective_pixels(satellite: str, dead: Mapping[tuple[str, int], tuple[int, ...]]) -> str:
    """Return GIP_R2DEPI with the raw columns of (band, detector)."""
    rows = []
    for b in BANDS.values():
        positions = "".join(
            f'<POSITION detector_id="{d:02d}"><COLUMNS>{" ".join(map(str, columns))}</COLUMNS></POSITION>'
            for (name, d), columns in dead.items()
            if name == b.name and columns
        )
        kind = f'<SINGULARITY type="SATURATED_RESPONSE">{positions}</SINGULARITY>'
        rows.append(f'<BAND band_id="{b.index}"><SINGULARITY_LIST>{kind}</SINGULARITY_LIST></BAND>')
    return _document("GS2_RADIOS2_DEFECTIVE_PIXELS", satellite, "\n".join(rows))


def blind_pixels(satellite: str, detectors: Iterable[int]) -> str:
    """Return GIP_BLINDP: the outer pixels of each side are usable, the inner ones are not."""
    rows = []
    for b in BANDS.values():
        last = b.raw_columns
        sides = "".join(
            f'<SIDE side_id="{side}"><VALID_BLIND_PIXELS>{" ".join(map(str, valid))}</VALID_BLIND_PIXELS>'
            f"<NON_VALID_BLIND_PIXELS>{' '.join(map(str, inner))}</NON_VALID_BLIND_PIXELS></SIDE>"
            for side, valid, inner in (
                ("LEFT", range(b.blind_valid), range(b.blind_valid, b.blind)),
                ("RIGHT", range(last - b.blind_valid, last), range(last - b.blind, last - b.blind_valid)),
            )
        )
        tables = "".join(f'<DETECTOR detector_id="{d:02d}">{sides}</DETECTOR>' for d in detectors)
        rows.append(f'<BAND band_id="{b.index}">{tables}</BAND>')
    return _document("GS2_BLIND_PIXELS", satellite, "\n".join(rows))


def viewing_directions(satellite: str, directions: ViewingDirections) -> str:
    """Return GIP_VIEDIR of a band."""
    b, groups = BANDS[directions.band], {}  # type: ignore[var-annotated]
    for (tdi, detector), (across, along) in directions.tangents.items():
        groups.setdefault(tdi, []).append(
            f'<VIEWING_DIRECTIONS detector_id="{detector:02d}"><NB_OF_PIXELS>{b.columns}</NB_OF_PIXELS>'
            f"<TAN_PSI_X_LIST>{_numbers(across, 15)}</TAN_PSI_X_LIST>"
            f"<TAN_PSI_Y_LIST>{_numbers(along, 15)}</TAN_PSI_Y_LIST></VIEWING_DIRECTIONS>"
        )
    lists = (
        f'<VIEWING_DIRECTIONS_LIST tdi_config="{tdi}">{"".join(rows)}</VIEWING_DIRECTIONS_LIST>'
        for tdi, rows in groups.items()
    )
    return _document("GS2_VIEWING_DIRECTIONS", satellite, f"<BAND_ID>{b.index}</BAND_ID>" + "\n".join(lists))


def _rotation(r: FrameRotation) -> str:
    angles = zip("XYZ", (r.x, r.y, r.z), strict=True)
    axes = (f'<R{k} axis="{axis}" unit="rad">{v:.15g}</R{k}>' for k, (axis, v) in enumerate(angles, 1))
    return "".join(axes) + "<SCALE_FACTOR>1.0</SCALE_FACTOR><COMBINATION_ORDER>ROTATION_THEN_SCALE</COMBINATION_ORDER>"


def spacecraft(satellite: str, model: SpacecraftModel) -> str:
    """Return GIP_SPAMOD: the rotations between piloting frame, instrument, focal planes and detectors."""
    planes = "".join(f"<MSI_TO_{name}>{_rotation(r)}</MSI_TO_{name}>" for name, r in model.focal_planes.items())
    detectors = "".join(
        f'<FOCAL_PLANE_TO_DETECTOR_{plane} detector_id="{d:02d}">{_rotation(r)}</FOCAL_PLANE_TO_DETECTOR_{plane}>'
        for (plane, d), r in model.detectors.items()
    )
    data = (
        f"<PILOTING_TO_MSI_FRAME>{_rotation(model.piloting)}</PILOTING_TO_MSI_FRAME>"
        f"<MSI_TO_FOCAL_PLANE>{planes}</MSI_TO_FOCAL_PLANE>"
        f"<FOCAL_PLANE_TO_DETECTOR>{detectors}</FOCAL_PLANE_TO_DETECTOR>"
    )
    return _document("GS2_SPACECRAFT_MODEL_PARAMETERS", satellite, data)


def write_radiometric(
    folder: Path, satellite: str, detectors: tuple[int, ...], states: Mapping[tuple[str, int], DetectorState]
) -> None:
    """Write the radiometric GIPPs of a session.

    Parameters
    ----------
    folder : Path
    satellite : str
    detectors : tuple of int
    states : mapping of (str, int) to DetectorState
        By (band, detector).
    """
    folder.mkdir(parents=True, exist_ok=True)
    dead = {key: state.dead for key, state in states.items()}
    texts = {
        gipp_name(satellite, "R2ABCA"): absolute_calibration(satellite),
        gipp_name(satellite, "R2CRCO"): crosstalk(satellite),
        gipp_name(satellite, "R2DEPI"): defective_pixels(satellite, dead),
        gipp_name(satellite, "BLINDP"): blind_pixels(satellite, detectors),
    }
    for band in dict.fromkeys(name for name, _ in states):
        of_band = {d: states[band, d] for d in detectors}
        texts[gipp_name(satellite, "R2EQOG", band)] = equalisation(satellite, band, of_band)
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def write_geometric(
    folder: Path, satellite: str, directions: Iterable[ViewingDirections], model: SpacecraftModel
) -> None:
    """Write GIP_VIEDIR of each band and GIP_SPAMOD."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in directions:
        (folder / gipp_name(satellite, "VIEDIR", one.band)).write_text(viewing_directions(satellite, one), "utf-8")
    (folder / gipp_name(satellite, "SPAMOD")).write_text(spacecraft(satellite, model), "utf-8")
