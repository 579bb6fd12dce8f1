"""Granule metadata of L0 and L1B: where a granule is in its datastrip and on the ground."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.leap_seconds import BUILT_IN, LeapSeconds
from s2dask.auxdata.time import utc_to_gps
from s2dask.auxdata.xml_file import local_name
from s2dask.auxdata.xml_nodes import Nodes
from s2dask.errors import InputMissing

_LINES: Final = 10**8


@dataclass(frozen=True, eq=False)
class GranuleMetadata:
    """The geometric part of a granule's metadata.

    Attributes
    ----------
    id, datastrip : str
        Identifiers of the granule and of its datastrip.
    detector : int
    sensing_time : int
        GPS [ns].
    first_line : int
        Of the granule in its datastrip, in 10 m lines, 0-based.
    sizes : mapping of int to (int, int)
        Rows and columns by resolution [m]; empty in L0, whose images are packets.
    footprint : (corner, 3) float64
        Longitude, latitude [deg], height [m]; the first corner again at the end.
    pixel_origin : int
        Number of the first pixel in the metadata's own counting: 1.
    """

    id: str
    datastrip: str
    detector: int
    sensing_time: int
    first_line: int
    sizes: Mapping[int, tuple[int, int]]
    footprint: NDArray[np.float64]
    pixel_origin: int


def read_granule(path: str | Path, leaps: LeapSeconds = BUILT_IN) -> GranuleMetadata:
    """Read the metadata of a granule.

    Parameters
    ----------
    path : path
        XML file, or folder of the granule.
    leaps : LeapSeconds, optional
    """
    nodes = Nodes.open(_find(Path(path)))
    root = local_name(nodes.root)
    if not root.endswith("_Granule_ID"):
        raise nodes.refuse(f"root element {root!r}", "give the metadata of an L0 or L1B granule")
    sizes = {
        nodes.integer(str(size.get("resolution")), 10, 60, "resolution"): (
            nodes.integer(nodes.text("NROWS", size), 1, _LINES, "NROWS"),
            nodes.integer(nodes.text("NCOLS", size), 1, _LINES, "NCOLS"),
        )
        for size in nodes.root.findall(".//Granule_Dimensions/Size")
    }
    return GranuleMetadata(
        id=nodes.text(".//GRANULE_ID"),
        datastrip=nodes.text(".//DATASTRIP_ID"),
        detector=nodes.integer(nodes.text(".//DETECTOR_ID"), 1, 12, "DETECTOR_ID"),
        sensing_time=nodes.date(".//SENSING_TIME", lambda text: utc_to_gps(text, leaps)),
        first_line=nodes.integer(nodes.text(".//Granule_Position/POSITION"), 1, _LINES, "POSITION") - 1,
        sizes=sizes,
        footprint=_footprint(nodes),
        pixel_origin=nodes.integer(nodes.text(".//PIXEL_ORIGIN"), 0, 1, "PIXEL_ORIGIN"),
    )


def find_granules(product: str | Path) -> dict[str, Path]:
    """Return the metadata files of the granules that a product holds, by granule id in alphabetical order.

    What a datastrip lists and a product does not hold is missing here: partial products are delivered like that.
    """
    found = sorted(Path(product).glob("GRANULE/*/*_MTD_L*_GR_*.xml"))
    if not found:
        raise InputMissing("no granules (GRANULE/*/*_MTD_*_GR_*.xml)", str(product), "give the folder of the product")
    return {path.parent.name: path for path in found}


def _find(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob("*_MTD_L*_GR_*.xml"))
        if len(found) != 1:
            raise InputMissing(f"{len(found)} files *_MTD_*_GR_*.xml", str(path), "give one granule")
        return found[0]
    return path


def _footprint(nodes: Nodes) -> NDArray[np.float64]:
    field = ".//Granule_Footprint/Footprint/EXT_POS_LIST"
    count = len(nodes.text(field).split())
    values = np.array(nodes.numbers(field, count))
    if count % 3 or count < 12:
        raise nodes.refuse(f"EXT_POS_LIST of {count} numbers is no ring of latitude, longitude and height")
    lat, lon, height = values.reshape(-1, 3).T
    if np.abs(lat).max() > 90.0 or np.abs(lon).max() > 360.0:
        raise nodes.refuse("EXT_POS_LIST leaves the Earth")
    if (values[:3] != values[-3:]).any():
        raise nodes.refuse("EXT_POS_LIST is no closed ring")
    return np.stack([lon, lat, height], -1)
