"""Writing the radiometric GIPPs that `gipp_radiometry` reads."""

from collections.abc import Iterable

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.auxdata.gipp_file import GippRecord, as_text, document
from s2dask.auxdata.gipp_radiometry import (
    AbsoluteCalibration,
    BlindPixels,
    CrosstalkCorrection,
    DefectivePixels,
    DetectorResponse,
    GroundEqualisation,
)
from s2dask.auxdata.gipp_values import plain, plain_list
from s2dask.errors import InputError
from s2dask.instrument import BANDS, Band, band


def _add(into: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    element = etree.SubElement(into, tag, attributes)
    if text:
        element.text = text
    return element


def _open(value: GippRecord) -> tuple[etree._Element, etree._Element]:
    """Return the document of a GIPP and its empty DATA."""
    root = document(value)
    return root, root[-1]


def _numbers(value: GippRecord, field: str, numbers: Iterable[float], count: int) -> str:
    """Return numbers as text; what is not finite, or another count, is refused."""
    array: NDArray[np.float64] = np.asarray(numbers, np.float64)
    if array.shape != (count,):
        raise InputError(f"{field}: {array.shape} values instead of {count}", value.file or value.ROOT)
    if not np.isfinite(array).all():
        where = int(np.flatnonzero(~np.isfinite(array))[0])
        raise InputError(f"{field}: value {array[where]} at position {where}", value.file or value.ROOT)
    return plain_list(array)


def _columns(columns: Iterable[int]) -> str:
    return " ".join(map(str, columns))


def write_blindp(value: BlindPixels) -> str:
    """Return GIP_BLINDP as XML.

    Notes
    -----
    NORMALIZATION_COEF, which the schema demands, is the number of blind pixels of a side where it is not known, as it
    is in the published files.
    """
    root, data = _open(value)
    for name in (n for n in BANDS if any(of == n for of, _ in value.valid)):
        b = BANDS[name]
        element = _add(data, "BAND", band_id=str(b.index))
        _add(element, "BLIND_PIXEL_NUMBER", str(2 * b.blind))
        for (of, detector), valid in value.valid.items():
            if of != name:
                continue
            table = _add(element, "DETECTOR", detector_id=f"{detector:02d}")
            _add(table, "NORMALIZATION_COEF", plain(value.normalisation.get((name, detector), b.blind)))
            invalid = value.invalid.get((name, detector), ())
            for side, low, high in (("LEFT", 0, b.raw_columns // 2), ("RIGHT", b.raw_columns // 2, b.raw_columns)):
                here = _add(table, "SIDE", side_id=side)
                _add(here, "VALID_BLIND_PIXELS", _columns(c for c in valid if low <= c < high))
                _add(here, "NON_VALID_BLIND_PIXELS", _columns(c for c in invalid if low <= c < high))
    return as_text(root)


def write_r2eqog(value: GroundEqualisation) -> str:
    """Return GIP_R2EQOG of a band as XML, its coefficients being those of the applied TDI configuration."""
    b = band(value.band)
    root, data = _open(value)
    _add(data, "BAND_ID", str(b.index))
    tables = _add(data, "COEFFICIENTS_LIST", tdi_config="APPLIED" if b.tdi else "NO_TDI")
    for detector, response in value.detectors.items():
        table = _add(tables, "COEFFICIENTS", detector_id=f"{detector:02d}")
        _add(table, "NB_OF_PIXELS", str(b.raw_columns))
        _response(value, b, response, _add(_add(table, "GROUND_EQUALIZATION"), response.model))
    return as_text(root)


def _response(value: GroundEqualisation, b: Band, response: DetectorResponse, into: etree._Element) -> None:
    names = ("A", "B", "C") if response.model == "CUBIC" else ("A1", "A2", "Zs")
    for name, row in zip(names, response.coefficients, strict=True):
        _add(into, f"COEFF_{name}", _numbers(value, f"COEFF_{name}", row, b.raw_columns))
    if len(response.dark) != b.chronogram_lines:
        raise InputError(
            f"COEFF_D: {len(response.dark)} lines instead of {b.chronogram_lines}", value.file or value.ROOT
        )
    lines = _add(_add(into, "COEFF_D"), f"A_{b.resolution}M_BAND")
    for k, row in enumerate(response.dark, 1):
        _add(lines, f"LINE{k}", _numbers(value, f"COEFF_D/LINE{k}", row, b.raw_columns))


def write_r2abca(value: AbsoluteCalibration) -> str:
    """Return GIP_R2ABCA as XML."""
    root, data = _open(value)
    for name, gain in value.gains.items():
        element = _add(data, "BAND", band_id=str(BANDS[name].index))
        _add(element, "PHYSICAL_GAINS", _numbers(value, "PHYSICAL_GAINS", [gain], 1))
        sun = value.solar_irradiance[name]
        _add(element, "SOLAR_IRRADIANCE", _numbers(value, "SOLAR_IRRADIANCE", [sun], 1), unit="W/m²/µm")
        if name in value.accuracy:
            _add(element, "CALIBRATION_ACCURACY", plain(value.accuracy[name]), unit="%")
    return as_text(root)


def write_r2crco(value: CrosstalkCorrection) -> str:
    """Return GIP_R2CRCO as XML."""
    root, data = _open(value)
    rows = _add(data, "CROSSTALK_COEFF_LIST")
    for k, tables in enumerate(zip(value.optical, value.electrical, strict=True)):
        row = _add(rows, "CROSSTALK_COEFF", band_id_k=str(k))
        for kind, coefficients in zip(("OPTICAL", "ELECTRICAL"), tables, strict=True):
            _add(row, kind, _numbers(value, kind, coefficients, len(BANDS)))
    return as_text(root)


def write_r2depi(value: DefectivePixels) -> str:
    """Return GIP_R2DEPI as XML; every band is there, the ones without defective pixels too."""
    root, data = _open(value)
    for b in BANDS.values():
        kinds = _add(_add(data, "BAND", band_id=str(b.index)), "SINGULARITY_LIST")
        for kind in dict.fromkeys(kind for kind, name, _ in value.singularities if name == b.name):
            singularity = _add(kinds, "SINGULARITY", type=kind)
            for (of, name, detector), columns in value.singularities.items():
                if (of, name) == (kind, b.name):
                    position = _add(singularity, "POSITION", detector_id=f"{detector:02d}")
                    _add(position, "COLUMNS", _columns(columns))
    return as_text(root)
