"""What the metadata of an L1B datastrip say about radiometry and refining."""

from collections.abc import Callable
from typing import Any, Final

from lxml import etree

from s2dask.errors import InputError
from s2dask.instrument import BANDS
from s2dask.io.safe_l0_metadata import DatastripFacts

_IMAGE: Final = "Image_Data_Info/Radiometric_Info"
_GEOMETRY: Final = "Image_Data_Info/Geometric_Info"
_NAMES: Final = tuple(BANDS)


def _text(root: etree._Element, path: str) -> str:
    value = root.findtext(path)
    if value is None or not value.strip():
        raise InputError(f"{path} is missing", "L1B datastrip metadata", "fetch the product again")
    return value.strip()


def _number(root: etree._Element, path: str) -> float:
    text = _text(root, path)
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{path}: {text[:20]!r} is no number", "L1B datastrip metadata", "fetch it again") from None


def _band(node: etree._Element, key: str = "bandId") -> str:
    text = node.get(key, "")
    if not text.isdecimal() or int(text) >= len(_NAMES):
        raise InputError(f"{node.tag} {key} {text[:20]!r}", "L1B datastrip metadata", "it is 0 to 12")
    return _NAMES[int(text)]


def _by_band(root: etree._Element, path: str, value: Callable[[etree._Element], Any], key: str = "bandId") -> Any:
    return {_band(node, key): value(node) for node in root.iterfind(path)}


def _spectrum(node: etree._Element) -> list[Any]:
    limits = [_number(node, f"Wavelength/{tag}") for tag in ("MIN", "MAX", "CENTRAL")]
    values = [float(word) for word in _text(node, "Spectral_Response/VALUES").split()]
    return [*limits, _number(node, "Spectral_Response/STEP"), values]


def _polynomials(root: etree._Element, path: str) -> dict[str, list[float]]:
    node = root.find(path)
    if node is None:
        return {}
    return {
        axis: [float(word) for word in _text(node, f"{axis}/COEFFICIENTS").split()]
        for axis in ("X", "Y", "Z")
        if node.findtext(f"{axis}/COEFFICIENTS", "").strip()
    }


def _refining(root: etree._Element) -> dict[str, Any]:
    flag, made = root.find(f"{_GEOMETRY}/Image_Refining"), f"{_GEOMETRY}/Refined_Corrections_List/Refined_Corrections"
    if len(root.findall(made)) > 1:
        raise InputError(f"{len(root.findall(made))} Refined_Corrections", "L1B datastrip metadata", "one is expected")
    if root.find(f"{made}//Translation/*") is not None:
        raise InputError("the refining has a Translation", "L1B datastrip metadata", "it is not known")
    return {
        "rgm": root.findtext(f"{_GEOMETRY}/RGM", "COMPUTED").strip(),
        "refined": flag is not None and flag.get("flag") == "REFINED",
        "rotation": _polynomials(root, f"{made}/MSI_State/Rotation"),
        "homothety": _polynomials(root, f"{made}/MSI_State/Homothety"),
        "position": _polynomials(root, f"{made}/Spacecraft_Position"),
        "focal_planes": {
            plane.get("focalPlaneId", ""): {key.lower(): _polynomials(plane, key) for key in ("Rotation", "Homothety")}
            for plane in root.iterfind(f"{made}/Focal_Plane_State")
        },
    }


def radiometry(root: etree._Element, facts: DatastripFacts) -> dict[str, Any]:
    """Return the root attribute ``radiometry`` of an L1B store, JSON-able.

    Parameters
    ----------
    root : lxml element
        Datastrip metadata without namespaces (`s2dask.io.safe_l0_metadata.plain`).
    facts : DatastripFacts
        Of the same file.

    Returns
    -------
    dict
        ``physical_gains`` by band [LSB per W m-2 sr-1 um-1]; ``radio_add_offset`` [LSB]; flags of the corrections:
        ``swir_rearrangement``, ``equalised`` (by band: offset, dark signal), ``crosstalk_optical``,
        ``crosstalk_electronic``, ``remove_blind_pixels``, ``defective_pixels``, ``restored``, ``restoration`` (by band:
        scenario, levels), ``binning``, ``no_data_pixels``, ``saturated_pixels``; ``spectra`` by band (first, last and
        central wavelength, step [nm], response); ``noise`` by band (alpha, beta [LSB]); ``accuracy`` by band [%];
        ``refining``; ``reference_images``; ``degraded_ancillary`` [%].

    Notes
    -----
    Products before baseline 04.00 have no Radiometric_Offset_List: their offset is 0.
    """
    offsets = _by_band(root, f"{_IMAGE}/Radiometric_Offset_List/*", lambda e: _number(e, "."), "band_id")
    if len(set(offsets.values())) > 1:
        told = sorted(set(offsets.values()))
        raise InputError(f"RADIO_ADD_OFFSET differs between bands: {told}", "L1B datastrip metadata", "one is expected")
    quality = "Quality_Indicators_Info/Radiometric_Info/Radiometric_Quality_List/*"
    return {
        "physical_gains": {_NAMES[index]: gain for index, (gain, _, _) in facts.bands.items()},
        "radio_add_offset": int(next(iter(offsets.values()), 0)),
        "equalised": _by_band(
            root, f"{_IMAGE}/Equalization/Equalized_Band_List/*",
            lambda e: [_text(e, tag) == "true" for tag in ("OFFSET_PROC", "DARK_SIGNAL_NON_UNIFORMITY_PROC")],
        ),
        **{
            key: _text(root, f"{_IMAGE}/{key.upper()}_PROC") == "true"
            for key in (
                "swir_rearrangement", "crosstalk_optical", "crosstalk_electronic", "remove_blind_pixels", "binning",
                "saturated_pixels",
            )
        },
        "defective_pixels": _text(root, f"{_IMAGE}/DEFECTIVE_PIXELS_PROC"),
        "no_data_pixels": _text(root, f"{_IMAGE}/PIXELS_NO_DATA_PROC"),
        "restored": any(e.get("processed") == "true" for e in root.iterfind(f"{_IMAGE}/Restoration")),
        "restoration": _by_band(
            root, f"{_IMAGE}/Restoration/Restored_Band_List/*",
            lambda e: [
                _text(e, "RESTORATION_SCENARIO"), *(int(_number(e, f"Levelling_Values/{k}")) for k in ("XMIN", "XMAX")),
            ],
        ),
        "spectra": _by_band(root, f"{_IMAGE}/Spectral_Information_List/*", _spectrum),
        "noise": _by_band(root, quality, lambda e: [_number(e, f"Noise_Model/{k}") for k in ("ALPHA", "BETA")]),
        "accuracy": _by_band(root, quality, lambda e: _number(e, "ABSOLUTE_CALIBRATION_ACCURACY")),
        "refining": _refining(root),
        "reference_images": [(e.text or "").strip() for e in root.iterfind("Auxiliary_Data_Info/GRI_List/*")],
        "degraded_ancillary": float(root.findtext("Quality_Indicators_Info/DEGRADED_ANC_DATA_PERCENTAGE", "0")),
    }  # fmt: skip
