"""ASGARD's location of Sentinel-2 image points, asked for through pipes.

    $S2DASK_PEER_PYTHON benchmarks/peers/asgard_location.py

Runs under an interpreter with asgard-eopf (Apache-2.0), which s2dask neither needs nor imports; it shares no code with
s2dask, and reads metadata and GIPPs by itself. Each line of standard input is a request in JSON, and each gets a line
of JSON; ``seconds`` is the CPU time of the work itself.

``{"do": "open", "name", "datastrip", "gipp", "iers", "terrain", "sensors", "refine", "angles"}``
    Makes a model: XML of the datastrip, folder of GIPPs, Bulletin A, terrain as .npz (``lon``, ``lat`` [degree] of the
    posts, ``height`` [m] above the ellipsoid), sensors like ``B02/D09``; ``angles``: of the focal planes, instead of
    those of the GIPP [mrad], without a scale: under SCALE_THEN_ROTATION, ASGARD 2.0.0 gives the intermediate frames of
    both planes one name, and the SWIR then gets the rotation of the VNIR.
``{"do": "direct", "name", "sensor", "line", "column"}``
    0-based, whole numbers at pixel centres; gives ``ground``: longitude, latitude [degree], ellipsoidal height [m].
``{"do": "inverse", "name", "sensor", "ground"}``
    Gives ``line`` and ``column``.
"""

import json
import logging
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from asgard.core.frame import FrameId
from asgard.models.body import EarthBody
from asgard.models.time import TimeReference
from asgard.sensors.sentinel2.msi import S2MSIGeometry

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
RESOLUTION = (60, 10, 10, 10, 20, 20, 20, 10, 20, 60, 60, 20, 20)
DETECTORS = tuple(f"{d:02d}" for d in range(1, 13))
EPOCH = "2000-01-01T00:00:00"
_SECOND = 1e9


def parse(path: str | Path) -> ET.Element:
    """Return the root of an XML file: reference data, which are trusted."""
    return ET.parse(path).getroot()  # noqa: S314


def seconds(gps: str) -> float:
    """Return a date as seconds after the epoch of all dates here."""
    return float((np.datetime64(gps, "ns") - np.datetime64(EPOCH, "ns")).astype(np.int64)) / _SECOND


def array(text: str | None) -> np.ndarray:
    """Return a list of numbers."""
    return np.array((text or "").split(), np.float64)


def dates(offsets: np.ndarray) -> dict[str, Any]:
    """Return dates as ASGARD takes them."""
    return {"GPS": {"offsets": offsets, "unit": "s", "epoch": EPOCH}}


def read_lines(root: ET.Element) -> dict[str, Any]:
    """Return the dates of the first lines: the centre is half a line after the date of the metadata."""
    period = float(root.findtext(".//Time_Stamp/LINE_PERIOD")) * 1e-3
    period_of = period * np.array(RESOLUTION) / 10
    start = np.zeros((12, 13))
    for stamp in root.findall(".//Time_Stamp/Band_Time_Stamp"):
        b = int(stamp.get("bandId"))
        for node in stamp.findall("Detector"):
            start[int(node.get("detectorId")) - 1, b] = seconds(node.findtext("GPS_TIME")) + period_of[b] / 2
    return {
        "col_names": [f"D{d}" for d in DETECTORS],
        "row_names": list(BANDS),
        "times": dates(start),
        "ref_lines": np.ones((12, 13)),
        "rates": np.tile(1 / period_of, (12, 1)),
    }


def line_counts(root: ET.Element) -> dict[str, Any]:
    """Return the number of lines of every sensor, from the last granule."""
    last = max(int(e.text) for e in root.findall(".//Granule_List/Granule/POSITION")) + 2303
    counts = np.tile(np.array([last * 10 // r for r in RESOLUTION], np.int32), (12, 1))
    return {"col_names": [f"D{d}" for d in DETECTORS], "row_names": list(BANDS), "values": counts}


def read_orbit(root: ET.Element, body: EarthBody) -> dict[str, Any]:
    """Return positions and velocities in EME2000."""
    points = root.findall(".//GPS_Points_List/GPS_Point")
    orbit = {
        "times": dates(np.array([seconds(e.findtext("GPS_TIME")) for e in points])),
        "positions": np.array([array(e.findtext("POSITION_VALUES")) for e in points]) * 1e-3,
        "velocities": np.array([array(e.findtext("VELOCITY_VALUES")) for e in points]) * 1e-3,
        "frame": "EF",
        "time_ref": "GPS",
    }
    return body.transform_orbit(orbit, FrameId.EME2000)


def read_attitude(root: ET.Element) -> dict[str, Any]:
    """Return the corrected attitudes, each date once."""
    found = {e.findtext("GPS_TIME"): e for e in root.findall(".//Corrected_Attitudes/Values")}
    return {
        "times": dates(np.array([seconds(date) for date in found])),
        "quaternions": np.array([array(e.findtext("QUATERNION_VALUES")) for e in found.values()]),
        "frame": "EME2000",
        "time_ref": "GPS",
    }


def read_refining(root: ET.Element) -> dict[str, Any]:
    """Return the refining of the MSI state: rotations and the Z homothety."""
    times = [root.findtext(f".//DATASTRIP_SENSING_{e}").rstrip("Z") for e in ("START", "STOP")]
    first, last = (np.datetime64(t, "ns") for t in times)
    state = root.find(".//Refined_Corrections/MSI_State")
    rotation = {x.lower(): array(state.findtext(f"Rotation/{x}/COEFFICIENTS")) for x in "XYZ"}
    homothety = {"z": array(state.findtext("Homothety/Z/COEFFICIENTS"))}
    return {
        "center_time": {"UTC": str(first + (last - first) // 2)},
        "msi_state": {"rotation": rotation, "homothety": homothety},
    }


def angles_of(node: ET.Element) -> tuple[list[float], str, float]:
    """Return the angles [mrad], combination order and scale of one frame."""
    order, scale = node.findtext("COMBINATION_ORDER", "NO_SCALE"), float(node.findtext("SCALE_FACTOR", "1"))
    return [float(node.findtext(f"R{i}")) for i in (1, 2, 3)], order, scale


def transforms(nodes: list[tuple[list[float], str, float]], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return frames as ASGARD takes them."""
    axes, units = np.empty((*shape, 3), object), np.empty((*shape, 3), object)
    axes[...], units[...] = ["X", "Y", "Z"], "mrad"
    orders = np.array([n[1] for n in nodes], object).reshape(shape)
    scales = np.array([n[2] for n in nodes], np.float64).reshape(shape)
    values = np.array([n[0] for n in nodes], np.float64).reshape(*shape, 3)
    return {
        "rotations": {"values": values, "axis": axes, "units": units},
        "combination_orders": orders if shape else str(orders),
        "scale_factors": scales if shape else float(scales),
    }


def read_spacecraft(folder: Path, angles: dict[str, list[float]]) -> dict[str, Any]:
    """Return the frames of GIP_SPAMOD."""
    data = parse(next(folder.glob("*GIP_SPAMOD*"))).find("DATA")
    planes = []
    for plane in ("VNIR", "SWIR"):
        read = angles_of(data.find(f"MSI_TO_FOCAL_PLANE/MSI_TO_{plane}"))
        planes.append((angles[plane], "NO_SCALE", 1.0) if plane in angles else read)
    path = "FOCAL_PLANE_TO_DETECTOR/FOCAL_PLANE_TO_DETECTOR_"
    detectors = [
        angles_of(data.find(f"{path}{plane}[@detector_id='{d}']")) for plane in ("VNIR", "SWIR") for d in DETECTORS
    ]
    names = {"col_names": ["VNIR", "SWIR"]}
    return {
        "piloting_to_msi": transforms([angles_of(data.find("PILOTING_TO_MSI_FRAME"))], ()),
        "msi_to_focalplane": names | transforms(planes, (2,)),
        "focalplane_to_sensor": names | {"row_names": [f"D{d}" for d in DETECTORS]} | transforms(detectors, (2, 12)),
    }


def read_directions(folder: Path, sensor: str) -> dict[str, Any]:
    """Return the tangents of GIP_VIEDIR: the first list, which is APPLIED or NO_TDI."""
    name, detector = sensor.split("/D")
    root = parse(next(folder.glob(f"*GIP_VIEDIR*_{name}.*")))
    node = root.find(f"DATA/VIEWING_DIRECTIONS_LIST/VIEWING_DIRECTIONS[@detector_id='{detector}']")
    return {"sensor": sensor, "values": np.array([array(node.findtext(f"TAN_PSI_{x}_LIST")) for x in "XY"])}


def write_terrain(source: str, folder: str) -> str:
    """Write the heights as the Zarr group that ASGARD reads."""
    path = tempfile.mkdtemp(".zarr", dir=folder)
    group = zarr.open_group(path, mode="w", zarr_format=2)
    with np.load(source) as posts:
        for name, dims in (("lat", ["lat"]), ("lon", ["lon"]), ("height", ["lat", "lon"])):
            values = group.create_array(name, data=posts[name], chunks=posts[name].shape)
            values.attrs.update({"_ARRAY_DIMENSIONS": dims, "units": "m" if name == "height" else "degrees"})
    zarr.consolidate_metadata(path, zarr_format=2)
    return path


def open_model(job: dict[str, Any], folder: str) -> S2MSIGeometry:
    """Make the model that a request describes."""
    root, gipp = parse(job["datastrip"]), Path(job["gipp"])
    bulletin = Path(job["iers"]).read_text(encoding="utf-8").splitlines(keepends=True)
    config = {
        "resources": {
            "iers": job["iers"],
            "dem_zarr": write_terrain(job["terrain"], folder),
            "dem_zarr_type": "ZARR",
        },
        "line_datations": read_lines(root),
        "line_counts": line_counts(root),
        "orbits": read_orbit(root, EarthBody(time_reference=TimeReference(iers_bulletin_a=bulletin))),
        "attitudes": read_attitude(root),
        "viewing_directions": [read_directions(gipp, sensor) for sensor in job["sensors"]],
        "spacecraft": read_spacecraft(gipp, job.get("angles", {})),
    }
    if job.get("refine", True):
        config["refining"] = read_refining(root)
    return S2MSIGeometry(**config)


def answer(job: dict[str, Any], models: dict[str, S2MSIGeometry], folder: str) -> dict[str, Any]:
    """Do what a request asks for."""
    start = time.process_time()
    if job["do"] == "open":
        models[job["name"]] = open_model(job, folder)
        return {"seconds": time.process_time() - start}
    model = models[job["name"]]
    if job["do"] == "direct":
        image = np.stack([job["column"], job["line"]], -1).astype(np.float64)
        start = time.process_time()
        ground = model.direct_loc(image, geometric_unit=job["sensor"])[0]
        return {"seconds": time.process_time() - start, "ground": ground.tolist()}
    ground = np.array(job["ground"])
    start = time.process_time()
    found = model.inverse_loc(ground, geometric_unit=job["sensor"], altitude=ground[:, 2].copy())
    return {
        "seconds": time.process_time() - start,
        "line": found[:, 1].tolist(),
        "column": found[:, 0].tolist(),
    }


def main() -> None:
    """Answer until the input ends."""
    out, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.WARNING)
    models: dict[str, S2MSIGeometry] = {}
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line), models, folder)), file=out, flush=True)


if __name__ == "__main__":
    main()
