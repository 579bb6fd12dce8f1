"""The viewing model as location grids that GDAL reads: direct per granule, inverse per tile."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata.datastrip import find_datastrip
from s2dask.instrument import band
from s2dask.production.ground import Ground
from s2dask.release import location_grids as form

DIRECT_STEP: Final = {10: 6, 20: 3, 60: 1}
"""Default node spacing by resolution [pixel]: 60 m, which relief of a 90 m model needs."""
_SCENE_LINES: Final = 2304


def _nodes(size: int, step: int) -> int:
    """Return the number of nodes on an axis: the last may lie outside the image."""
    return int((size - 0.5 + step / 2) // step) + 1


def direct_nodes(
    ground: Ground, name: str, detector: int, rows: range, step: int
) -> NDArray[np.float64]:
    """Return longitude, latitude [degree] and height [m] (3, row, column) of some rows of nodes."""
    columns = step * np.arange(_nodes(band(name).columns, step), dtype=np.float64)
    lines = step * np.asarray(rows, np.float64)
    return np.stack(ground.model.direct(name, detector, lines[:, None], columns[None, :], ground.terrain))


def export_direct(
    ground: Ground, datastrip: str | Path, out: str | Path, bands: Sequence[str], detectors: Sequence[int],
    steps: Mapping[int, int] = DIRECT_STEP, *, altitude: bool = True,
) -> list[Path]:
    """Write the direct grids of all granules of some bands and detectors, and a VRT for each; return the VRTs.

    Parameters
    ----------
    ground : Ground
    datastrip : path
        Metadata of the datastrip, for the names.
    out : path
        Root of the product to write to: ``GRANULE/*/GEO_DATA``, ``DATASTRIP/*/GEO_DATA``.
    bands, detectors : sequence
    steps : mapping of int to int
        Node spacing by resolution [pixel].
    altitude : bool
        Whether the height is the third band.
    """
    file, root = find_datastrip(datastrip), Path(out)
    made = []
    for name in bands:
        b = band(name)
        step = steps[b.resolution]
        for detector in detectors:
            grids = []
            granules = sorted((first, g) for g, (d, first) in ground.strip.granules.items() if d == detector)
            for first, granule in granules:
                start, count = first // b.line_factor, _SCENE_LINES // b.line_factor
                rows = range(int((start + step / 2) // step), int((start + count + step / 2) // step) + 1)
                path = root / "GRANULE" / granule / "GEO_DATA" / form.direct_name(granule, name)
                nodes = direct_nodes(ground, name, detector, rows, step)[: 3 if altitude else 2]
                form.write_direct_grid(path, nodes, rows.start, start, step)
                grids.append((path, rows.start))
            if grids:
                stem = form.strip_name(file.name, detector, name, "GEO")
                vrt = root / "DATASTRIP" / file.parent.name / "GEO_DATA" / f"{stem}.vrt"
                form.write_vrt(vrt, grids, step)
                made.append(vrt)
    return made


def export_inverse(
    ground: Ground, datastrip: str | Path, out: str | Path, name: str, detector: int, crs: str,
    area: tuple[float, float, float, float], step: float,
) -> Path:
    """Write the inverse grid of a detector and band over an area, and return its path.

    Parameters
    ----------
    ground : Ground
    datastrip : path
    out : path
        Folder.
    name : str
    detector : int
    crs : str
    area : (float, float, float, float)
        Upper left x, y, lower right x, y [m]; the nodes reach beyond its right and lower edge.
    step : float
        Node spacing [m].
    """
    left, top, right, bottom = area
    columns, rows = (int(np.ceil(size / step)) + 1 for size in (right - left, top - bottom))
    x, y = left + step * np.arange(columns), top - step * np.arange(rows)
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
    line, column = ground.model.inverse(name, detector, lon, lat, ground.terrain.height(lon, lat))
    path = Path(out) / f"{form.strip_name(find_datastrip(datastrip).name, detector, name, 'INV')}.tif"
    form.write_inverse_grid(path, column, line, crs, (left, top), step)
    return path
