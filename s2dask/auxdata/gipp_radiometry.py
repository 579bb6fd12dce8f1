"""The radiometric GIPPs: blind pixels, equalisation, absolute calibration, crosstalk, defective pixels.

They are written by `gipp_radiometry_text`.

Structures: BLINDP as in the published files; R2EQOG, R2CRCO, R2DEPI with the element names of the operational files;
R2ABCA, whose structure is not public, in the same style (`PHYSICAL_GAINS` and `SOLAR_IRRADIANCE` of each band).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields, open_root
from s2dask.auxdata.gipp_file import Gipp, read_header
from s2dask.instrument import BANDS, band

RESPONSE_LIMITS: Final = {
    "COEFF_A": (-1e-6, 1e-6),
    "COEFF_B": (-1e-2, 1e-2),
    "COEFF_C": (0.1, 10.0),
    "COEFF_A1": (0.1, 10.0),
    "COEFF_A2": (0.1, 10.0),
    "COEFF_Zs": (0.0, 65535.0),
}
"""Limits of a plausible coefficient on the pixels that see light."""
IRRADIANCE_UNITS: Final = ("W/m²/µm", "W/m2/µm", "W/m2/um", "W m-2 um-1")
"""Spellings of W m-2 um-1 that are understood."""


@dataclass(frozen=True, slots=True, eq=False)
class BlindPixels(Gipp):
    """GIP_BLINDP.

    Attributes
    ----------
    valid, invalid : mapping of (str, int) to tuple of int
        By (band, detector): blind raw columns that can be used, and those that cannot.
    normalisation : mapping of (str, int) to float
        NORMALIZATION_COEF, where the file has it; the correction does not use it.
    """

    ROOT: ClassVar[str] = "GS2_BLIND_PIXELS"
    IDENTIFICATION: ClassVar[str] = "BLIND_PIXELS_FILE"

    valid: Mapping[tuple[str, int], tuple[int, ...]]
    invalid: Mapping[tuple[str, int], tuple[int, ...]]
    normalisation: Mapping[tuple[str, int], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class DetectorResponse:
    """Dark signal and relative response of one band and detector.

    Attributes
    ----------
    model : str
        ``CUBIC`` (VNIR) or ``BI-LINEAR`` (SWIR).
    dark : (chronogram_line, raw_column) float64 [LSB]
    coefficients : (3, raw_column) float64
        A [LSB-2], B [LSB-1], C [1] or A1 [1], A2 [1], Zs [LSB].
    """

    model: str
    dark: NDArray[np.float64]
    coefficients: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GroundEqualisation(Gipp):
    """GIP_R2EQOG of one band.

    Attributes
    ----------
    band : str
    detectors : mapping of int to DetectorResponse
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_EQUALIZATION_ONGROUND"
    IDENTIFICATION: ClassVar[str] = "EQUALIZATION_ONGROUND_PARAMETERS_FILE"

    band: str
    detectors: Mapping[int, DetectorResponse]


@dataclass(frozen=True, slots=True, eq=False)
class AbsoluteCalibration(Gipp):
    """GIP_R2ABCA.

    Attributes
    ----------
    gains : mapping of str to float
        A of each band [LSB per W m-2 sr-1 um-1].
    solar_irradiance : mapping of str to float
        E0 at 1 au [W m-2 um-1].
    accuracy : mapping of str to float
        CALIBRATION_ACCURACY, where the file has it [%].
    """

    ROOT: ClassVar[str] = "GS2_ABSOLUTE_CALIBRATION"
    IDENTIFICATION: ClassVar[str] = "ABSOLUTE_CALIBRATION_PARAMETERS_FILE"

    gains: Mapping[str, float]
    solar_irradiance: Mapping[str, float]
    accuracy: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class CrosstalkCorrection(Gipp):
    """GIP_R2CRCO.

    Attributes
    ----------
    optical, electrical : (13, 13) float64 [1]
        Victim, source, in the order of the bands.
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_CROSSTALK_CORRECTION"
    IDENTIFICATION: ClassVar[str] = "CROSSTALK_CORRECTIONS_FILE"

    optical: NDArray[np.float64]
    electrical: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DefectivePixels(Gipp):
    """GIP_R2DEPI.

    Attributes
    ----------
    singularities : mapping of (str, str, int) to tuple of int
        Defective raw columns by (kind of singularity, band, detector): ``SATURATED_RESPONSE``.
    """

    ROOT: ClassVar[str] = "GS2_RADIOS2_DEFECTIVE_PIXELS"
    IDENTIFICATION: ClassVar[str] = "DEFECTIVE_PIXELS_FILE"

    singularities: Mapping[tuple[str, str, int], tuple[int, ...]]

    @property
    def columns(self) -> Mapping[tuple[str, int], tuple[int, ...]]:
        """Defective raw columns by (band, detector), of every kind of singularity, ascending."""
        found: dict[tuple[str, int], set[int]] = {}
        for (_, band_name, detector), columns in self.singularities.items():
            found.setdefault((band_name, detector), set()).update(columns)
        return MappingProxyType({key: tuple(sorted(columns)) for key, columns in found.items()})


def _once(fields: Fields, table: Mapping[str, object], key: str) -> None:
    if key in table:
        raise fields.refuse(f"{key} is there twice")


def read_blindp(path: Path, unit: str) -> BlindPixels:
    """Read GIP_BLINDP.

    Parameters
    ----------
    path : Path
    unit : str
    """
    root = open_root(path, BlindPixels.ROOT, unit)
    normalisation: dict[tuple[str, int], float] = {}
    valid: dict[tuple[str, int], tuple[int, ...]] = {}
    invalid: dict[tuple[str, int], tuple[int, ...]] = {}
    for element in root.child("DATA").children("BAND"):
        b = BANDS[element.band("band_id")]
        for detector in element.children("DETECTOR"):
            key = b.name, detector.integer_attribute("detector_id", 1, 12)
            if key in valid:
                raise detector.refuse(f"{b.name} of detector {key[1]} is there twice")
            if detector.has("NORMALIZATION_COEF"):
                normalisation[key] = detector.child("NORMALIZATION_COEF").number(0.0, 1e4, open_low=True)
            sides = list(detector.children("SIDE"))
            for table, name in ((valid, "VALID_BLIND_PIXELS"), (invalid, "NON_VALID_BLIND_PIXELS")):
                columns = [side.child(name).columns(b.raw_columns) for side in sides]
                table[key] = tuple(sorted(c for side in columns for c in side))
            if not valid[key]:
                raise detector.refuse("no valid blind pixel")
    tables = (MappingProxyType(valid), MappingProxyType(invalid), MappingProxyType(normalisation))
    return BlindPixels(unit, path.name, *tables, header=read_header(root))


def read_r2eqog(
    path: Path, unit: str, band_name: str, detectors: tuple[int, ...] = tuple(range(1, 13))
) -> GroundEqualisation:
    """Read GIP_R2EQOG of one band.

    Parameters
    ----------
    path : Path
    unit : str
    band_name : str
        The band that it must be of.
    detectors : tuple of int
        Detectors to read; those that the file does not hold are left out, unless none is left.

    Notes
    -----
    ``BAND_ID``; ``COEFFICIENTS_LIST@tdi_config`` / ``COEFFICIENTS@detector_id`` / ``NB_OF_PIXELS`` and
    ``GROUND_EQUALIZATION`` / ``CUBIC`` (``COEFF_A``, ``COEFF_B``, ``COEFF_C``) or ``BI-LINEAR`` (``COEFF_A1``,
    ``COEFF_A2``, ``COEFF_Zs``) with ``COEFF_D`` / ``A_10M_BAND`` / ``LINE1`` to ``LINE6``: one dark signal per line of
    the chronogram. Every list has one value per raw column; limits of the response hold for the pixels that see light,
    those of the dark signal for all.
    """
    b = band(band_name)
    root = open_root(path, GroundEqualisation.ROOT, unit)
    data = root.child("DATA")
    index = data.child("BAND_ID")
    if index.integer(0, len(BANDS) - 1) != b.index:
        raise index.refuse(f"band {index.text} instead of {b.index} ({b.name})")
    lists = {fields.attribute("tdi_config"): fields for fields in data.children("COEFFICIENTS_LIST")}
    chosen = lists.get("APPLIED" if b.tdi else "NO_TDI")
    if chosen is None:
        raise data.refuse(f"no table for the TDI configuration of {b.name}", "COEFFICIENTS_LIST")
    found: dict[int, DetectorResponse] = {}
    for fields in chosen.children("COEFFICIENTS"):
        detector = fields.integer_attribute("detector_id", 1, 12)
        if detector in found:
            raise fields.refuse(f"detector {detector} is there twice")
        if detector in detectors:
            found[detector] = _response(fields, band_name)
    if not found:
        raise chosen.refuse(f"none of the detectors {', '.join(map(str, detectors))}", "COEFFICIENTS")
    return GroundEqualisation(unit, path.name, b.name, MappingProxyType(found), header=read_header(root))


def _response(fields: Fields, band_name: str) -> DetectorResponse:
    b = band(band_name)
    fields.child("NB_OF_PIXELS").integer(b.raw_columns, b.raw_columns)
    model = "CUBIC" if b.focal_plane == "VNIR" else "BI-LINEAR"
    names = ("COEFF_A", "COEFF_B", "COEFF_C") if model == "CUBIC" else ("COEFF_A1", "COEFF_A2", "COEFF_Zs")
    table = fields.child("GROUND_EQUALIZATION").child(model)
    useful = slice(b.blind, b.raw_columns - b.blind)
    coefficients = []
    for name in names:
        element = table.child(name)
        values = element.numbers(b.raw_columns)
        element.check(values[useful], *RESPONSE_LIMITS[name])
        coefficients.append(values)
    darks = table.child("COEFF_D").child(f"A_{b.resolution}M_BAND")
    if b.chronogram_lines == 1 and not darks.has("LINE1"):
        lines = [darks.numbers(b.raw_columns, 0.0, 4095.0)]
    else:
        lines = [darks.child(f"LINE{k + 1}").numbers(b.raw_columns, 0.0, 4095.0) for k in range(b.chronogram_lines)]
    return DetectorResponse(model, np.array(lines), np.array(coefficients))


def read_r2abca(path: Path, unit: str) -> AbsoluteCalibration:
    """Read GIP_R2ABCA; every band must be there.

    Parameters
    ----------
    path : Path
    unit : str

    Notes
    -----
    ``BAND@band_id`` / ``PHYSICAL_GAINS``, ``SOLAR_IRRADIANCE@unit``, ``CALIBRATION_ACCURACY@unit`` where it is there.
    """
    root = open_root(path, AbsoluteCalibration.ROOT, unit)
    data = root.child("DATA")
    accuracy: dict[str, float] = {}
    gains: dict[str, float] = {}
    irradiance: dict[str, float] = {}
    for fields in data.children("BAND"):
        name = fields.band("band_id")
        _once(fields, gains, name)
        gains[name] = fields.child("PHYSICAL_GAINS").number(0.0, 1e4, open_low=True)
        sun = fields.child("SOLAR_IRRADIANCE")
        if sun.attribute("unit") not in IRRADIANCE_UNITS:
            raise sun.refuse(f"unit {sun.attribute('unit')!r} instead of W/m²/µm", "@unit")
        irradiance[name] = sun.number(0.0, 3000.0, open_low=True)
        if fields.has("CALIBRATION_ACCURACY"):
            accuracy[name] = fields.child("CALIBRATION_ACCURACY").number(0.0, 100.0)
    missing = [name for name in BANDS if name not in gains]
    if missing:
        raise data.refuse(f"no {', '.join(missing)}", "BAND")
    tables = (MappingProxyType(gains), MappingProxyType(irradiance), MappingProxyType(accuracy))
    return AbsoluteCalibration(unit, path.name, *tables, header=read_header(root))


def read_r2crco(path: Path, unit: str) -> CrosstalkCorrection:
    """Read GIP_R2CRCO; every band must be there as a victim.

    Parameters
    ----------
    path : Path
    unit : str

    Notes
    -----
    ``CROSSTALK_COEFF_LIST`` / ``CROSSTALK_COEFF@band_id_k`` / ``OPTICAL``, ``ELECTRICAL``: 13 sources in band order.
    """
    root = open_root(path, CrosstalkCorrection.ROOT, unit)
    data = root.child("DATA")
    rows: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for fields in data.child("CROSSTALK_COEFF_LIST").children("CROSSTALK_COEFF"):
        name = fields.band("band_id_k")
        _once(fields, rows, name)
        optical, electrical = (fields.child(kind).numbers(len(BANDS), -0.1, 0.1) for kind in ("OPTICAL", "ELECTRICAL"))
        rows[name] = optical, electrical
    missing = [name for name in BANDS if name not in rows]
    if missing:
        raise data.refuse(f"no {', '.join(missing)}", "CROSSTALK_COEFF_LIST")
    tables = np.array([rows[name] for name in BANDS])
    return CrosstalkCorrection(unit, path.name, tables[:, 0], tables[:, 1], header=read_header(root))


def read_r2depi(path: Path, unit: str) -> DefectivePixels:
    """Read GIP_R2DEPI; a band or detector that is not listed has no defective pixel.

    Parameters
    ----------
    path : Path
    unit : str

    Notes
    -----
    ``BAND@band_id`` / ``SINGULARITY_LIST`` / ``SINGULARITY@type`` / ``POSITION@detector_id`` / ``COLUMNS`` (raw ones).
    """
    root = open_root(path, DefectivePixels.ROOT, unit)
    bands: set[str] = set()
    found: dict[tuple[str, str, int], set[int]] = {}
    for element in root.child("DATA").children("BAND"):
        b = BANDS[element.band("band_id")]
        if b.name in bands:
            raise element.refuse(f"{b.name} is there twice")
        bands.add(b.name)
        for singularity in element.child("SINGULARITY_LIST").children("SINGULARITY"):
            kind = singularity.attribute("type")
            for position in singularity.children("POSITION"):
                key = kind, b.name, position.integer_attribute("detector_id", 1, 12)
                found.setdefault(key, set()).update(position.child("COLUMNS").columns(b.raw_columns))
    table = {key: tuple(sorted(values)) for key, values in found.items() if values}
    return DefectivePixels(unit, path.name, MappingProxyType(table), header=read_header(root))
