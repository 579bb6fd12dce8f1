"""The unit of a tile: Level-1C, Level-2A, their checks and their delivery; and the units of a real product."""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from s2dask.errors import ConfigurationError
from s2dask.graph.tasks import TaskGraph
from s2dask.graph.unit import Unit
from s2dask.io.grids import TileGrid
from s2dask.io.safe_l1b import import_granule, start_import
from s2dask.io.storage import filesystem
from s2dask.io.tiles import open_tile
from s2dask.production import levels
from s2dask.production.blocks import default_blocking
from s2dask.production.identity import folder_digest
from s2dask.production.levels import TilePlan
from s2dask.production.order import Order
from s2dask.production.resampling import USUAL
from s2dask.production.strip import strip_facts
from s2dask.production.tile_list import grid_unit, tiles_wanted
from s2dask.production.tile_release import Released, add_release, describe_tile
from s2dask.production.unit_cost import priced
from s2dask.production.unit_table import StripCut
from s2dask.production.work import Context, Done, Made, Told, judge, keep_indicators
from s2dask.release.tile import TileRelease


def run_tile(context: Context) -> Done:
    """Make, judge and deliver a tile (kind TILE)."""
    spec, told, order = context.unit.spec, Told(), context.order
    if not all(part["facts"].get("passed", True) for part in context.before.values()):
        return Done(told)  # its datastrip is withheld, and has said why
    grid, suffix, aux = TileGrid(**spec["grid"]), str(spec["suffix"]), spec["aux"]
    l1c, l2a = (str(context.work / f"{level}-T{grid.tile_id}{suffix}.zarr") for level in ("l1c", "l2a"))
    source = l1c if spec["images"] else str(spec["l0"])
    blocking = order.blocking if order.blocking is not None and spec["images"] else default_blocking(grid)
    plan = TilePlan(grid, blocking, source, l2a, order.resampling, order.corrections, context.created)
    graph, last = TaskGraph(), {}
    if spec["images"] and "l1c" not in spec:  # which a unit of its own has made
        last["L1C"] = levels.add_l1c(graph, plan, spec["l0"], spec["images"], aux)
        told.stores[f"L1C-{plan.name}{suffix}"] = l1c
    if spec["to"] == "L2A":
        last["L2A"] = levels.add_l2a(graph, plan, source, aux, tuple(last.values()))
        told.stores[f"L2A-{plan.name}{suffix}"] = l2a
    outcomes = context.graph(plan.name, graph)
    products = _deliver(context, told, {level: outcomes[ref.key].result for level, ref in last.items()}, plan.name)
    for store in told.stores.values():
        keep_indicators(told, store, order)
    if not order.keep:
        for store in told.stores.values():
            shutil.rmtree(store, ignore_errors=True)
    return Done(told, products)


def _deliver(context: Context, told: Told, results: Mapping[str, dict[str, Any]], name: str) -> tuple[Made, ...]:
    """Write the delivery forms of the products that passed, file by file on the cluster."""
    spec, order, graph = context.unit.spec, context.order, TaskGraph()
    passed = {level: str(result["path"]) for level, result in results.items() if judge(told, result, order)}
    if not passed:
        return ()
    l1c = str(results["L1C"]["path"]) if "L1C" in results else spec.get("l1c")
    half = _staging(context, f"{name}{spec['suffix']}")
    ready = graph.add(f"FORMAT_METADATA_DS-{name}", describe_tile, list(passed.values()), spec["l0"], spec["aux"])
    released: dict[str, Released] = {}
    for level, store in passed.items():
        masks = l1c if level == "L2A" else None
        what = TileRelease(store, masks, jp2_profile=order.jp2_profile, zarr_form=order.zarr_form, safe=order.tile_safe)
        label, twin = f"{name}{spec['suffix']}", released.get("L1C")
        released[level] = add_release(graph, what, half, order.out, label, (ready,), twin)
    outcomes = context.graph("release", graph)
    shutil.rmtree(half, ignore_errors=True)
    made: list[Made] = []
    for level, tasks in released.items():
        paths = [str(path) for path in outcomes[tasks.last.key].result]
        told.products.extend(paths)
        made.extend(Made(PurePosixPath(p).name, level, p, name) for p in paths if p.endswith((".SAFE", ".zarr")))
    return tuple(made)


def _staging(context: Context, name: str) -> Path:
    """Return a folder for what is not delivered yet: of this attempt alone, as a task of another may still write."""
    for left in context.work.glob(f"release-{name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    return context.work / f"release-{name}-{uuid.uuid4().hex[:8]}"


def l1c_unit(order: Order) -> Unit:
    """Return the unit of a real L1C product: its L2A."""
    if order.to != "L2A":
        raise ConfigurationError(f"an L1C product can only go to L2A, not to {order.to}", "--to", "use --to L2A")
    if order.resampling != USUAL:
        options = "--interpolation, --cut, --noise-gain"
        raise ConfigurationError("an L1C product is resampled already", options, "leave them out")
    grid = open_tile(order.source).grid
    shared = {
        "order": order.spec(), "to": "L2A", "l0": order.source, "images": None, "aux": order.aux, "suffix": "",
    }  # fmt: skip
    inputs = {"product": _stamp(order.source), "aux": "" if order.aux is None else folder_digest(order.aux)}
    return grid_unit(StripCut((1,), 1, shared=shared), grid, order, inputs, ())


def _stamp(product: str) -> str:
    """Return what tells a product from another of its name without reading all of it."""
    fs, path = filesystem(product)
    files = sorted(fs.find(path)) if fs.isdir(path) else [path]
    return repr([(name.removeprefix(path), fs.size(name)) for name in files])


def import_unit(order: Order) -> Unit:
    """Return the unit of a real L1B product."""
    if order.to not in ("L1C", "L2A"):
        raise ConfigurationError(f"an L1B product can go to L1C or L2A, not to {order.to}", "--to", "use --to L1C")
    return Unit(name="IMPORT", kind="IMPORT", spec={"order": order.spec()})


def run_import(context: Context) -> Done:
    """Import an L1B product, granule after granule on the cluster, and list its tiles (kind IMPORT)."""
    order, told, graph = context.order, Told(), TaskGraph()
    aux, l1b = order.aux_folder(), str(context.work / "l1b.zarr")
    context.work.mkdir(parents=True, exist_ok=True)
    for d, scene in start_import(order.source, l1b, aux):
        graph.add(f"UNFORMAT_SAFE_GR-D{d:02d}-G{scene:03d}", import_granule, order.source, l1b, d, scene)
    context.graph("L1B", graph)
    strip_facts.cache_clear()
    told.stores["L1B"] = l1b
    facts = strip_facts(l1b)
    if facts.attrs["missing_granules"]:
        told.flags.append(f"{len(facts.attrs['missing_granules'])} granules are not in the product: no data")
    shared = {"order": order.spec(), "to": order.to, "l0": l1b, "images": l1b, "aux": aux, "suffix": ""}
    cut = StripCut(facts.detectors, facts.scenes, priority=context.unit.priority, shared=shared)
    inputs = {"product": _stamp(order.source), "aux": folder_digest(aux)}
    return Done(told, children=priced(tiles_wanted(cut, order, inputs, told, ("IMPORT",)), order))
