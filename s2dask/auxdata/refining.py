"""The refining of a datastrip: polynomials in time that correct orbit, attitude and focal planes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask.errors import InputError

_AXES: Final = ("X", "Y", "Z")


@dataclass(frozen=True, eq=False)
class Refining:
    """Refining polynomials in seconds from the middle of the sensing (low degree first); absent means zero.

    Attributes
    ----------
    rotation : mapping of str to array
        X, Y, Z of the rotation of the MSI state [rad, rad/s …].
    homothety : array
        Z homothety of the MSI state [1, 1/s …].
    position : mapping of str to array
        X, Y, Z of the spacecraft position in its local orbital frame [m, m/s …].
    focal_planes : mapping of str to Refining
        By VNIR, SWIR: rotation and homothety of the focal plane.
    """

    rotation: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    homothety: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    position: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    focal_planes: Mapping[str, "Refining"] = field(default_factory=dict)


def read_refining(root: etree._Element, file: str) -> Refining:
    """Read the refining of a datastrip's metadata.

    Parameters
    ----------
    root : lxml element
    file : str
        For messages.

    Notes
    -----
    Corrections count where Image_Refining says REFINED only. Translations and the X and Y homothety, which the schema
    allows and no product has, are refused: the viewing model has no such terms, and leaving them out would be silent.
    """
    image = root.find("{*}Image_Data_Info/Geometric_Info/Image_Refining")
    flag = "" if image is None else str(image.get("flag", ""))
    found = root.findall("{*}Image_Data_Info/Geometric_Info/Refined_Corrections_List/Refined_Corrections")
    if flag.upper() != "REFINED":
        return Refining()
    if len(found) != 1:
        raise InputError(f"Image_Refining is REFINED and there are {len(found)} Refined_Corrections", file)
    state = found[0].find("MSI_State")
    msi = Refining() if state is None else _state(state, file)
    position = found[0].find("Spacecraft_Position")
    return Refining(
        msi.rotation,
        msi.homothety,
        {} if position is None else _polynomials(position, file),
        {str(e.get("focalPlaneId")): _state(e, file) for e in found[0].findall("Focal_Plane_State")},
    )


def refining_of(told: Mapping[str, Any]) -> Refining:
    """Return the refining that the store of an imported datastrip tells (key ``refining`` of its ``radiometry``).

    Parameters
    ----------
    told : mapping
        ``refined``; ``rotation``, ``homothety`` and ``position`` by axis, ``focal_planes`` by plane. A homothety that
        the viewing model does not have (X, Y) is refused.
    """
    if not told.get("refined"):
        return Refining()
    homothety = dict(told.get("homothety") or {})
    along = np.array(homothety.pop("Z", ()), np.float64)
    if any(np.any(values) for values in homothety.values()):
        raise InputError(f"refining: homothety in {', '.join(homothety)}", "radiometry/refining", "it is not known")
    rotation, position = (
        {axis: np.array(values, np.float64) for axis, values in (told.get(key) or {}).items()}
        for key in ("rotation", "position")
    )
    planes = told.get("focal_planes") or {}
    return Refining(
        rotation, along, position, {name: refining_of({**plane, "refined": True}) for name, plane in planes.items()}
    )


def _state(element: etree._Element, file: str) -> Refining:
    parts = {}
    for name in ("Rotation", "Translation", "Homothety"):
        node = element.find(name)
        parts[name] = {} if node is None else _polynomials(node, file)
    homothety = parts["Homothety"].pop("Z", np.zeros(0))
    for name in ("Translation", "Homothety"):
        if any(np.any(p) for p in parts[name].values()):
            raise InputError(f"refining has {element.tag}/{name} in {', '.join(parts[name])}", file, "it is not known")
    return Refining(parts["Rotation"], homothety)


def _polynomials(element: etree._Element, file: str) -> dict[str, NDArray[np.float64]]:
    out = {}
    for axis in _AXES:
        text = element.findtext(f"{axis}/COEFFICIENTS")
        if text is None or not text.strip():
            continue
        where = f"{element.tag}/{axis}"
        try:
            values, degree = np.array(text.split(), np.float64), int(element.findtext(f"{axis}/DEGREE", "-1"))
        except ValueError:
            raise InputError(f"refining polynomial {where} is not a list of numbers", file) from None
        if not np.isfinite(values).all() or degree not in (-1, values.size - 1):
            raise InputError(f"refining polynomial {where} has {values.size} coefficients for degree {degree}", file)
        out[axis] = values
    return out
