"""A whole session: landscape, pass, instrument, telemetry, auxiliary files and truth."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from s2dask.auxdata import acquisition
from s2dask.auxdata.time import NANO, compact, gps_to_utc
from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, LINE_PERIOD, SCENE_SECONDS, unit
from s2dask.instrument.telemetry import (
    APID_AOCS,
    APID_GPS,
    MPDU_ZONE_BYTES,
    VC_COUNTER_MODULO,
    VCID_HALF_SCENE,
    VCID_SAD,
    apid,
    half_scene,
)
from s2dask.simulate import gipp
from s2dask.simulate.auxiliary import write_elevation, write_forecasts, write_geoid
from s2dask.simulate.coding import PacketMultiplexer, ancillary_packets, image_packets
from s2dask.simulate.effects import Effects, draw_effects, equalise_on_board, nuc_table, staggered
from s2dask.simulate.imaging import Camera, Nodes, trace
from s2dask.simulate.landscape import Landscape, build_landscape, landscape_on
from s2dask.simulate.mission import Mission, real_mission, synthetic_mission
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.platform import Platform, sights
from s2dask.simulate.sensor import TRIO, DetectorState, counts, draw_detector
from s2dask.simulate.telemetry import (
    APID_HOUSEKEEPING,
    HOUSEKEEPING_CHANNEL,
    IDLE_LEAD,
    VCID_HOUSEKEEPING,
    ChannelWriter,
)
from s2dask.simulate.truth import TruthStore

log = logging.getLogger(__name__)

ABSOLUTE_ORBIT: Final = 26904
THREADS: Final = 2
LARGEST: Final = 250_000_000
"""Cells of a landscape that is imaged in one piece; a larger one would not fit into memory, and is cut by detector."""
_SID_GPS, _SID_ATTITUDE = 1, 105
Raw = dict[tuple[str, int], NDArray[np.uint16]]


@dataclass(frozen=True, eq=False)
class Pass:
    """What is fixed before the first pixel is made.

    Attributes
    ----------
    options : SimulationOptions
    mission : Mission
    scenes : int
    start : mapping of (int, str) to int
        By (detector, band): centre of line 0, GPS [ns].
    nodes : mapping of (str, int) to Nodes
        By (band, detector).
    crs : str
    window : (x0, y0, width, height)
        What every band sees [m].
    """

    options: SimulationOptions
    mission: Mission
    scenes: int
    start: Mapping[tuple[int, str], int]
    nodes: Mapping[tuple[str, int], Nodes]
    crs: str
    window: tuple[int, int, int, int]


def _utm(lon: float, lat: float) -> str:
    return f"EPSG:{(32600 if lat >= 0 else 32700) + int((lon + 180) // 6) + 1}"


def _window(centre: tuple[float, float], edge: int) -> tuple[str, tuple[int, int, int, int]]:
    """Return the UTM zone and the square of a place, on the 60 m grid of its tile."""
    crs = _utm(*centre)
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*centre)
    x0, y0 = int((x - edge / 2) // 60) * 60, int((y + edge / 2) // 60) * 60
    # tiles start 40 m, 20 m or 0 m beside a multiple of 60 m in x, and likewise in y: the grid of the zone's tile
    left = int(x0 // 100_000) * 100_000
    top = (int(y0 // 100_000) + 1) * 100_000
    corner = left - left % 60, top + (-top % 60 if crs.startswith("EPSG:326") else (10_000_000 - top) % 60)
    x0 = corner[0] + round((x0 - corner[0]) / 60) * 60
    y0 = corner[1] - round((corner[1] - y0) / 60) * 60
    return crs, (x0, y0, edge, edge)


def _trace_all(
    mission: Mission, options: SimulationOptions, start: Mapping[tuple[int, str], int], scenes: int
) -> dict[tuple[str, int], Nodes]:
    def one(name: str, d: int) -> Nodes:
        seen = sights(mission.directions[name], mission.spacecraft, d)
        return trace(mission.platform, seen, name, start[d, name], scenes * BANDS[name].lines_per_scene)

    return {(name, d): one(name, d) for name in options.bands for d in options.detectors}


def _seen_at(n: Nodes, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return the second and the column at which a detector sees places at sea level, as nearly as a plane tells."""
    a, b = n.ground(0.0)
    design = np.stack([np.ones(a.size), a.ravel(), b.ravel()], -1)
    known = np.stack([np.repeat(n.seconds, a.shape[1]), np.tile(n.column, a.shape[0])], -1)
    fit = np.linalg.lstsq(design, known, rcond=None)[0]
    return tuple(fit[0, k] + fit[1, k] * lon + fit[2, k] * lat for k in (0, 1))


def _land_in_view(mission: Mission, nodes: Mapping[tuple[str, int], Nodes]) -> tuple[float, float]:
    """Return the middle of the real land that the detectors see [deg]; the middle of their images over mere sea."""
    views = [n for (name, _), n in nodes.items() if name == next(iter(nodes))[0]]
    lon, lat = (np.concatenate([n.ground(0.0)[k].ravel() for n in views]) for k in (0, 1))
    middle = float(lon.mean()), float(lat.mean())
    if mission.relief is None:
        return middle
    lattice, heights = mission.relief((float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())))
    row, column = (index.astype(np.float64) for index in np.nonzero(heights > 1.0))
    lon, lat = lattice.west + lattice.dlon * column, lattice.north - lattice.dlat * row
    seen = np.zeros(lon.size, bool)
    for n in views:
        seconds, at = _seen_at(n, lon, lat)
        seen |= (seconds > n.seconds[0]) & (seconds < n.seconds[-1]) & (at > 0) & (at < n.column[-1])
    if not seen.any():
        log.warning("the detectors see no land of this terrain: their images hold nothing but sea; try others")
        return middle
    lon, lat = lon[seen], lat[seen]
    nearest = int(np.argmin(np.hypot(lon - lon.mean(), lat - lat.mean())))
    return float(lon[nearest]), float(lat[nearest])


def _seconds_needed(
    nodes: Mapping[tuple[str, int], Nodes], crs: str, window: tuple[int, int, int, int]
) -> tuple[float, float]:
    """Return the first and last date at which a detector sees its part of the window, in the platform's seconds."""
    x0, y0, width, height = window
    places = np.meshgrid(np.linspace(x0, x0 + width, 41), np.linspace(y0 - height, y0, 41))
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*places)
    low, high = np.inf, -np.inf
    for n in nodes.values():
        seconds, column = _seen_at(n, lon, lat)
        seen = seconds[(column > -0.02 * n.column[-1]) & (column < 1.02 * n.column[-1])]
        if seen.size:
            low, high = min(low, float(seen.min())), max(high, float(seen.max()))
    if not low < high:
        raise ConfigurationError("no detector sees the window", "simulate", "choose neighbouring detectors")
    return low, high


def plan_pass(options: SimulationOptions) -> Pass:
    """Choose orbit, window and scenes so that every band of every detector sees the window."""
    mission = synthetic_mission(options) if options.geometry is None else real_mission(options)
    trial = _trace_all(mission, options, mission.start, mission.scenes)
    if mission.relief is not None:
        mission = replace(mission, centre=_land_in_view(mission, trial))
    crs, window = _window(mission.centre, options.window)
    low, high = _seconds_needed(trial, crs, window)
    scenes = options.scenes or int(np.ceil((high - low + 0.1) / SCENE_SECONDS))
    if scenes > mission.scenes:
        raise ConfigurationError(f"{scenes} scenes", "simulate", f"the orbit at hand covers {mission.scenes}")
    origin = min(mission.start.values())
    first = (low + high - scenes * SCENE_SECONDS) / 2 - (origin - mission.platform.origin) / NANO
    first = min(max(first, 0.0), (mission.scenes - scenes) * SCENE_SECONDS)
    # whole 60 m lines, so that real line dates stay what they are beside each other
    shift = round(first / (6 * LINE_PERIOD)) * 6 * LINE_PERIOD
    start = {key: date + round(shift * NANO) for key, date in mission.start.items()}
    return Pass(options, mission, scenes, start, _trace_all(mission, options, start, scenes), crs, window)


def _seen(nodes: Mapping[Any, Nodes]) -> tuple[float, float, float, float]:
    """Return the (west, south, east, north) [deg] that some images see, with a margin."""
    places = [n.ground(h) for n in nodes.values() for h in (0.0, 2400.0)]
    lon, lat = np.concatenate([p[0].ravel() for p in places]), np.concatenate([p[1].ravel() for p in places])
    return float(lon.min()) - 0.04, float(lat.min()) - 0.04, float(lon.max()) + 0.04, float(lat.max()) + 0.04


def _window_box(job: Pass) -> tuple[float, float, float, float]:
    """Return the (west, south, east, north) [deg] of the window."""
    x0, y0, width, height = job.window
    to_geographic = Transformer.from_crs(job.crs, "EPSG:4326", always_xy=True)
    west, south, east, north = to_geographic.transform_bounds(x0, y0 - height, x0 + width, y0)
    return west, south, east, north


def _landscape(job: Pass) -> Landscape:
    box = _seen(job.nodes)
    if job.mission.relief is None:
        return build_landscape(box, job.mission.centre, job.options)
    return landscape_on(*job.mission.relief(box), box, job.options)


def _groups(bands: Sequence[str], effects: Effects) -> list[tuple[str, ...]]:
    """Return bands that are made together: the SWIR ones, which leak into each other, the others where they do too."""
    swir, rest = (tuple(name for name in bands if (name in TRIO) is inside) for inside in (True, False))
    return [g for g in (swir, *([rest] if effects.optical else ((name,) for name in rest))) if g]


def _image_group(
    job: Pass,
    camera: Camera,
    truth: TruthStore,
    states: Mapping[tuple[str, int], DetectorState],
    effects: Effects,
    group: Sequence[str],
) -> Raw:
    """Make the raw images of some bands, all detectors, and save their truth."""
    table, raw, view = unit(job.options.unit).bands, {}, camera
    apart = camera.landscape.classes.size > LARGEST
    if apart:
        view = camera.above(_window_box(job))
    fields = {name: view.fields(name) for name in group}
    for name in group:
        truth.save_band(name, {d: job.nodes[name, d] for d in job.options.detectors}, fields[name])
    for d in job.options.detectors:
        light = {}
        if apart:
            view = camera.above(_seen({name: job.nodes[name, d] for name in group}))
            fields = {name: view.fields(name) for name in group}
        for name in group:
            lines = job.scenes * BANDS[name].lines_per_scene
            scene = partial(view.radiance, name, job.nodes[name, d], lines, fields[name])
            light[name] = scene()
            truth.save_radiance(name, d, light[name])
            if (name, d) in effects.stagger:
                light[name] = staggered(scene, name, effects.stagger[name, d])
        made = counts(light, {name: states[name, d] for name in group}, table, d, job.options.seed, effects.leaks)
        for name, image in made.items():
            tables = effects.onboard.get((name, d))
            raw[name, d] = equalise_on_board(image, tables[nuc_table(job.options.unit)]) if tables else image
    log.info("imaged %s", ", ".join(group))
    return raw


def _scene_stream(
    job: Pass, raw: Raw, detectors: Sequence[int], scene: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the packets of a scene end to end, in the order of their dates, and where each begins."""
    rows: list[tuple[int, int, NDArray[np.uint8]]] = []
    for d in detectors:
        for name in job.options.bands:
            b = BANDS[name]
            lines = raw[name, d][scene * b.lines_per_scene : (scene + 1) * b.lines_per_scene]
            number = 16 * (scene * b.packets_per_scene + np.arange(b.packets_per_scene))
            dates = job.start[d, name] + np.round(number * LINE_PERIOD * b.line_factor * NANO).astype(np.int64)
            length = None if job.options.codec == "raw12" else b.packet_length
            packets = image_packets(lines, apid(d, b.index), dates, length)
            rows.extend((int(t), apid(d, b.index), p) for t, p in zip(dates, packets, strict=True))
    rows.sort(key=lambda row: row[:2])
    sizes = np.array([p.size for *_, p in rows])
    return np.concatenate([p for *_, p in rows]), np.cumsum(sizes) - sizes


def ancillary_stream(platform: Platform) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the ancillary packets of a pass end to end, in the order of their dates, and where each begins."""
    told = platform.reported
    points = ancillary_packets(
        APID_GPS, _SID_GPS, told.position_time, np.concatenate([told.position, platform.velocity], 1)
    )
    attitude = ancillary_packets(APID_AOCS, _SID_ATTITUDE, told.attitude_time, told.quaternion)
    rows = sorted(
        [(int(t), 0, p) for t, p in zip(told.position_time, points, strict=True)]
        + [(int(t), 1, p) for t, p in zip(told.attitude_time, attitude, strict=True)],
        key=lambda row: row[:2],
    )
    sizes = np.array([p.size for *_, p in rows])
    return np.concatenate([p for *_, p in rows]), np.cumsum(sizes) - sizes


def housekeeping_stream(platform: Platform) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the recorded housekeeping packets of a pass, one a second, of any content, and where each begins."""
    time = platform.reported.position_time
    values = np.random.default_rng(int(time[0])).normal(size=(time.size, 300))
    packets = ancillary_packets(APID_HOUSEKEEPING, 1, time, values)
    return packets.reshape(-1), np.arange(time.size) * packets.shape[1]


def _lost_frames(job: Pass, detectors: Sequence[int], channel: int) -> NDArray[np.int64]:
    pixels = (BANDS[n].lines_per_scene * BANDS[n].raw_columns * 1.5 for n in job.options.bands)
    coded = (BANDS[n].packets_per_scene * BANDS[n].packet_length for n in job.options.bands)
    scene = sum(pixels if job.options.codec == "raw12" else coded)
    total = int(scene * len(detectors) * job.scenes / MPDU_ZONE_BYTES)
    channels = sorted({half_scene(d) for d in job.options.detectors})
    share, rest = divmod(job.options.lose_frames, len(channels))
    wanted = share + (rest if channel == channels[0] else 0)
    if not detectors or not wanted:
        return np.zeros(0, np.int64)
    random = np.random.default_rng([job.options.seed, channel, 0x1057])
    return np.sort(IDLE_LEAD + random.choice(total, min(wanted, total), replace=False))


def _write_channel(job: Pass, raw: Raw, folder: Path, session: str, channel: int) -> list[int]:
    detectors = [d for d in job.options.detectors if half_scene(d) == channel]
    lost = _lost_frames(job, detectors, channel)
    dates = list(job.start.values())
    with ChannelWriter(folder, session, channel, job.options.seed, job.options.bit_errors, lost) as writer:
        writer.idle()
        images = PacketMultiplexer(VCID_HALF_SCENE[channel])
        for scene in range(job.scenes if detectors else 0):
            writer.write(images.push(*_scene_stream(job, raw, detectors, scene)))
        writer.write(images.flush())
        if channel == VCID_SAD:
            house = PacketMultiplexer(VCID_SAD)
            writer.write(house.push(*ancillary_stream(job.mission.platform)))
            writer.write(house.flush())
        if channel == HOUSEKEEPING_CHANNEL:
            recorded = PacketMultiplexer(VCID_HOUSEKEEPING, VC_COUNTER_MODULO - 5)
            writer.write(recorded.push(*housekeeping_stream(job.mission.platform)))
            writer.write(recorded.flush())
        writer.idle()
        writer.close(min(dates), max(dates) + round(job.scenes * SCENE_SECONDS * NANO))
    return [int(k) for k in lost]


def _write_auxiliary(
    job: Pass, states: Mapping[tuple[str, int], DetectorState], effects: Effects, landscape: Landscape, aux: Path
) -> None:
    options, mission = job.options, job.mission
    gipp.write_radiometric(aux / "gipp", options.unit, options.detectors, states, effects)
    if effects.onboard:
        told = acquisition.Acquisition(True, nuc_table(options.unit))
        (aux / acquisition.FILE).write_text(acquisition.write_acquisition(told), "utf-8")
    gipp.write_geometric(aux / "gipp", options.unit, mission.directions.values(), mission.spacecraft)
    (aux / "iers").mkdir(parents=True, exist_ok=True)
    mission.write_bulletin(aux / "iers" / "bulletina.txt")
    write_elevation(aux / "dem", landscape.heights, landscape.relief)
    write_geoid(aux / "geoid" / "geoid.tif", mission.centre)
    write_forecasts(aux / "meteo", mission.centre, options, gps_to_utc(min(job.start.values())))


def simulate(folder: str, options: SimulationOptions | None = None) -> str:
    """Simulate a session and write it.

    Parameters
    ----------
    folder : str
        Written anew; a session that is there already is replaced.
    options : SimulationOptions, optional

    Returns
    -------
    str
        The folder: ``DCS_01_<session>_dat`` with the CADUs of both channels, ``aux``, ``truth.zarr``.
    """
    job = plan_pass(options or SimulationOptions())
    options, root = job.options, Path(folder)
    if root.exists():
        if any(root.iterdir()) and not (root / "aux").is_dir():
            raise ConfigurationError("folder holds something else than a session", folder, "choose an empty folder")
        shutil.rmtree(root)
    root.mkdir(parents=True)
    start = min(job.start.values())
    landscape = _landscape(job)
    camera = Camera(options, landscape, job.mission.centre, start)
    keys = [(n, d) for n in options.bands for d in options.detectors]
    states = {(n, d): draw_detector(n, d, options.seed, options.dead_pixels, options.noisy_pixels) for n, d in keys}
    effects = draw_effects(options)
    _write_auxiliary(job, states, effects, landscape, root / "aux")
    session = f"{options.unit}_{compact(gps_to_utc(start)).replace('T', '')}{ABSOLUTE_ORBIT:06d}"
    attrs: dict[str, Any] = {"options": asdict(options), "session": session, "scenes": job.scenes, "aot": options.aot}
    attrs |= {"centre": list(job.mission.centre), "water_vapour": options.water_vapour}
    truth = TruthStore(str(root / "truth.zarr"), camera, job.crs, job.window, options.detectors, attrs)
    truth.save_attitude(job.mission.platform.reported.attitude_time, job.mission.platform.quaternion)
    for (name, detector), nodes in job.nodes.items():
        truth.save_rays(name, detector, nodes)
    raw: Raw = {}
    with ThreadPoolExecutor(THREADS) as pool:
        made = partial(_image_group, job, camera, truth, states, effects)
        for images in pool.map(made, _groups(options.bands, effects)):
            raw.update(images)
        list(pool.map(lambda channel: _write_channel(job, raw, root, session, channel), (1, 2)))
    return str(root)
