"""Small sessions taken through the real functions of every level, with a defect put between any two of them."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import zarr
from rasterio.transform import Affine

from s2dask.errors import S2Error
from s2dask.geometry.tiles import tile_at
from s2dask.instrument.telemetry import ISP_HEAD_BYTES
from s2dask.io.grids import TileGrid
from s2dask.io.schema import packet_path
from s2dask.io.storage import open_array
from s2dask.l0.session import accept_session, survey
from s2dask.l0.stage import decode_file, granules_of
from s2dask.production import ortho, strip
from s2dask.production.blocks import default_blocking
from s2dask.production.ingest import update_strips, write_packets
from s2dask.production.setting import open_gipps
from s2dask.production.surface import make_surface
from s2dask.production.tile_release import describe_tile
from s2dask.qc.checks import run_checks
from s2dask.qc.engine import check_product
from s2dask.release.tile import TileRelease, release_tile
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

Facts = dict[str, Any]
Checks = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """What the checks say of products that were made.

    Attributes
    ----------
    made : set of str
        Checks that measured something: ``L1B Stripe_Index``.
    failed : dict of str to str
        Message of those that failed.
    refused : str
        What the processor, or the check of the product, said in place of a product.
    errors : set of str
        Checks of which the report says that they cannot be made.
    """

    made: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    errors: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *results: Checks) -> "Verdict":
        checks = [check for result in results for check in result]
        made = frozenset(f"{c['level']} {c['id']}" for c in checks if c["value"] is not None)
        failed = {f"{c['level']} {c['id']}": str(c["message"]) for c in checks if c["status"] == "FAILED"}
        return cls(made, failed, errors=frozenset(f"{c['level']} {c['id']}" for c in checks if c["status"] == "ERROR"))


def judged(make: Callable[[], Verdict]) -> Verdict:
    """Return a verdict; a refusal is one too."""
    try:
        return make()
    except S2Error as error:
        return Verdict(refused=f"{type(error).__name__}: {error}")


def receive(session: Path, work: Path, l0: Path, aux: Path | None = None) -> Checks:
    """Make the first L0 store of a session, and return its checks."""
    work.mkdir(parents=True, exist_ok=True)
    state = survey(str(session))
    accepted = accept_session(state)
    results = [decode_file(block.url, block.channel, str(work)) for block in state.blocks]
    updates = update_strips(results, accepted, str(aux or session / "aux"), str(l0), str(work))
    for update in updates:
        for (detector, scene), bands in sorted(granules_of(update.granules).items()):
            write_packets(update.url, str(work), detector, scene, bands, update.rank)
    strip.strip_facts.cache_clear()
    return [c.as_dict() for update in updates for c in run_checks("L0", update.counters)]


def radiometry(l0: str, l1b: Path, aux: Path) -> Facts:
    """Make the L1B of a datastrip."""
    strip.start_l1b(l0, str(l1b))
    facts, gipps = strip.strip_facts(l0), open_gipps(l0, str(aux))
    records = [strip.write_scene(l0, str(l1b), gipps, d, k) for d in facts.detectors for k in range(facts.scenes)]
    return strip.finish_images(str(l1b), records)


def tile(l0: str, l1b: str, aux: Path, l1c: Path, grid: TileGrid) -> Facts:
    """Make the L1C of a tile."""
    cut, url = default_blocking(grid), str(l1c)
    init = ortho.start_tile(l0, str(aux), grid, cut, url)
    blocks = [ortho.write_ortho(l0, l1b, str(aux), url, b, init) for r in (10, 20, 60) for b in cut.blocks(grid, r)]
    masks = [ortho.write_classification(url, b) for b in cut.blocks(grid, 60)]
    return ortho.finish_tile(url, init, blocks, masks)


def unpacked(l0: str, detector: int, name: str) -> np.ndarray:
    """Return the raw lines of an uncompressed band, (line, raw_column) int64 [LSB]."""
    _, raw = strip.raw_lines(l0, detector, name, 0, 10**9)
    return np.asarray(raw.counts).astype(np.int64)


def packed(lines: np.ndarray) -> np.ndarray:
    """Return (packet, byte) what follows the head of packets of sixteen lines."""
    rows = np.clip(lines, 0, 4095).reshape(lines.shape[0] // 16, -1).astype(np.uint32)
    pairs = rows[:, 0::2] << 12 | rows[:, 1::2]
    return np.stack([pairs >> 16, pairs >> 8 & 255, pairs & 255], -1).astype(np.uint8).reshape(rows.shape[0], -1)


def write_lines(l0: str, detector: int, name: str, lines: np.ndarray) -> None:
    """Put raw lines into the packets of a band."""
    array: Any = zarr.open_group(l0, mode="r+")[f"{packet_path(detector, name)}/packets"]
    packets, body = np.asarray(array[...]), packed(lines)
    packets[:, ISP_HEAD_BYTES : ISP_HEAD_BYTES + body.shape[1]] = body
    array[...] = packets


@dataclass(frozen=True)
class Bench:
    """A session and what was made of it without defect.

    Attributes
    ----------
    session : Path
    l0, l1b, l1c, l2a : str
        Stores; empty where the level is not made.
    clean : Verdict
    records : dict of str to dict
        By level.
    """

    session: Path
    l0: str
    l1b: str = ""
    l1c: str = ""
    l2a: str = ""
    clean: Verdict = field(default_factory=Verdict)
    records: dict[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def aux(self) -> Path:
        return self.session / "aux"

    @property
    def grid(self) -> TileGrid:
        truth = Truth(f"{self.session}/truth.zarr")
        return TileGrid(tile_at(*truth.attrs["centre"]), str(truth.attrs["crs"]), *truth.window)

    def copy_of(self, store: str, folder: Path) -> str:
        """Return a copy of a store."""
        return str(shutil.copytree(store, folder / Path(store).name))

    def copy_aux(self, folder: Path) -> Path:
        """Return a copy of the auxiliary files."""
        return Path(shutil.copytree(self.aux, folder / "aux"))


def build(folder: Path, options: SimulationOptions, to: str) -> Bench:
    """Simulate a session, if it is not there, and process it up to a level."""
    shutil.rmtree(folder / "packets", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    session = folder / "session"
    if not (session / "truth.zarr").exists():
        simulate(str(session), options)
    if "B04" in options.bands and not (session / "aux" / "reference").exists():
        add_reference(session)
    checks = [receive(session, folder / "packets", folder / "l0.zarr")]
    bench, records = Bench(session, str(folder / "l0.zarr")), dict[str, Mapping[str, float]]()
    if to != "L0":
        made = radiometry(bench.l0, folder / "l1b.zarr", bench.aux)
        bench, records["L1B"] = replace(bench, l1b=made["path"]), made["record"]
        checks.append(made["checks"])
    if to in ("L1C", "L2A"):
        made = tile(bench.l0, bench.l1b, bench.aux, folder / "l1c.zarr", bench.grid)
        bench, records["L1C"] = replace(bench, l1c=made["path"]), made["record"]
        checks.append(made["checks"])
    if to == "L2A":
        made = make_surface(bench.l1c, str(folder / "l2a.zarr"), str(bench.aux))
        bench, records["L2A"] = replace(bench, l2a=made["path"]), made["record"]
        checks.append(made["checks"])
    return replace(bench, clean=Verdict.of(*checks), records=records)


def change(url: str, path: str, values: np.ndarray) -> None:
    """Write a whole array of a store."""
    array: Any = zarr.open_group(url, mode="r+")[path]
    array[...] = values


def stored(url: str, path: str) -> np.ndarray:
    """Read a whole array of a store."""
    return np.asarray(open_array(url, path)[...])


def add_reference(session: Path) -> None:
    """Give the auxiliary files a reference image: the ground of B04 as it is, without air and clouds."""
    truth = zarr.open_group(f"{session}/truth.zarr", mode="r")
    attrs: Any = truth.attrs
    image = np.asarray(truth["match/image"][...], np.float32)  # type: ignore[index]
    x0, y0, *_ = attrs["window"]
    folder = session / "aux" / "reference"
    folder.mkdir()
    kind = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": attrs["crs"], "nodata": float("nan")}
    place = Affine(10.0, 0.0, x0, 0.0, -10.0, y0)
    size = {"width": image.shape[1], "height": image.shape[0]}
    with rasterio.open(folder / "b04.tif", "w", transform=place, **kind, **size) as raster:
        raster.write(image, 1)


def deliver(bench: Bench, level: str, folder: Path) -> Path:
    """Write the SAFE of a tile as it is delivered."""
    store = bench.copy_of(bench.l1c if level == "L1C" else bench.l2a, folder)
    describe_tile([store], bench.l0, str(bench.aux))
    paths = release_tile(TileRelease(store, bench.l1c if level == "L2A" else None), str(folder / "out"))
    return next(Path(p) for p in paths if str(p).endswith(".SAFE"))


def inspected(product: Path) -> Verdict:
    """Return what ``s2dask qc check`` says of a product."""
    reports = check_product(str(product))
    return Verdict.of([{**r.as_dict(), "id": r.id} for report in reports for r in report.results])


def again(bench: Bench, folder: Path, first: str, to: str, **given: Any) -> Verdict:
    """Make a bench's products once more from a level on, with other inputs: ``l0``, ``l1b``, ``l1c`` or ``aux``."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"l0": bench.l0, "l1b": bench.l1b, "l1c": bench.l1c, "aux": bench.aux} | given
    levels = ("L1B", "L1C", "L2A")
    todo, checks = levels[levels.index(first) : levels.index(to) + 1], list[Checks]()
    if "L1B" in todo:
        made = radiometry(inputs["l0"], folder / "new_l1b.zarr", inputs["aux"])
        inputs["l1b"] = made["path"]
        checks.append(made["checks"])
    if "L1C" in todo:
        made = tile(inputs["l0"], inputs["l1b"], inputs["aux"], folder / "new_l1c.zarr", bench.grid)
        inputs["l1c"] = made["path"]
        checks.append(made["checks"])
    if "L2A" in todo:
        made = make_surface(inputs["l1c"], str(folder / "new_l2a.zarr"), str(inputs["aux"]))
        checks.append(made["checks"])
    return Verdict.of(*checks)


def whole(seed: int) -> SimulationOptions:
    """Return a session of one detector and every band, up to Level-2A; air and clouds are of its own."""
    random = np.random.default_rng([seed, 0xDEF])
    return SimulationOptions(
        detectors=(6,), window=3600, scenes=1, seed=seed, codec="raw12", dead_pixels=2,
        aot=round(random.uniform(0.06, 0.35), 3), water_vapour=round(random.uniform(0.8, 3.8), 2),
        ozone=round(random.uniform(260, 380)), cloud_cover=round(random.uniform(0.0, 0.3), 2),
    )  # fmt: skip


def pair(seed: int) -> SimulationOptions:
    """Return a session of two detectors and two bands, up to Level-1C."""
    return SimulationOptions(detectors=(6, 7), bands=("B04", "B8A"), window=6000, seed=seed, codec="raw12")


def link(seed: int) -> SimulationOptions:
    """Return a session of two small bands on both channels, up to Level-0."""
    return SimulationOptions(detectors=(6, 7), bands=("B01", "B09"), window=600, scenes=2, seed=seed, codec="raw12")
