"""The units of a datastrip: its packets are moved, its granules made, its store closed, judged and delivered."""

from pathlib import PurePosixPath

from s2dask import __version__
from s2dask.graph.tasks import TaskGraph
from s2dask.io.template import set_attributes
from s2dask.production import levels
from s2dask.production.housekeeping import take_housekeeping
from s2dask.production.ingest import close_strip
from s2dask.production.marks import forget, mark, unmark
from s2dask.production.quicklook import mosaic, quicklook
from s2dask.production.setting import open_gipps
from s2dask.production.strip import finish_images, strip_facts
from s2dask.production.strip_release import add_safe, describe_strip
from s2dask.production.work import Context, Done, Made, Told, judge, keep_indicators
from s2dask.qc.records import Record, combine
from s2dask.release.datastrip import release_datastrip


def run_packets(context: Context) -> Done:
    """Move the packets of a detector and some scenes into the L0 store (kind L0)."""
    spec, graph = context.unit.spec, TaskGraph()
    unmark(spec["l0"], context.unit.name)
    for scene, bands in spec["moves"]:
        levels.add_packets(graph, spec["l0"], spec["raw"], spec["strip"], spec["detector"], scene, tuple(bands))
    context.graph("L0", graph)
    mark(spec["l0"], context.unit.name, context.unit.identity)
    return Done(Told())


def run_granules(context: Context) -> Done:
    """Make the L1A or L1B granules of a detector and some scenes (kinds L1A, L1B)."""
    spec, graph, level = context.unit.spec, TaskGraph(), str(context.unit.kind)
    unmark(spec["images"], context.unit.name)
    gipps = open_gipps(spec["l0"], spec["aux"])
    add = levels.add_l1a_granule if level == "L1A" else levels.add_l1b_granule
    refs = [add(graph, spec["l0"], spec["images"], gipps, spec["detector"], k) for k in range(*spec["scenes"])]
    outcomes = context.graph(level, graph)
    mark(spec["images"], context.unit.name, context.unit.identity)
    return Done(Told(facts={"record": combine([outcomes[ref.key].result for ref in refs])}))


def close(context: Context) -> Done:
    """Close a datastrip: reduce its records, judge it, deliver it if that is asked for (kind STRIP)."""
    if context.unit.spec.get("part") is not None:
        return _judge_part(context)
    return _deliver_l0(context) if context.unit.spec["level"] == "L0" else _close_images(context)


def _records(context: Context) -> list[Record]:
    """Return the records of the granules, however the units that tell them are cut."""
    facts = [part["facts"] for part in context.before.values()]
    return [record for told in facts for record in told.get("records", [told["record"]] if "record" in told else [])]


def _judge_part(context: Context) -> Done:
    """Judge the granules of a virtual datastrip, and hand on their records: those of all make that of the whole."""
    spec, told, graph, order = context.unit.spec, Told(), TaskGraph(), context.order
    store, records = str(spec["images"]), _records(context)
    last = graph.add(f"OLQC_DS_L1B-{context.unit.name}", finish_images, store, records)
    passed = judge(told, context.graph("L1B", graph)[last.key].result, order)
    told.facts = {"passed": passed, "records": records}
    if order.keep:
        told.stores[f"L1B{spec['suffix']}-V{spec['part']}"] = store
    return Done(told)


def _close_images(context: Context) -> Done:
    spec, told, graph, order = context.unit.spec, Told(), TaskGraph(), context.order
    store, level = str(spec["images"]), str(spec["level"])
    last = graph.add(f"OLQC_DS_{level}-all", finish_images, store, _records(context))
    passed = judge(told, context.graph(level, graph)[last.key].result, order)
    close_strip(spec["raw"], spec["strip"])
    keep_indicators(told, store, order)
    told.facts["passed"] = passed
    if not (passed and spec["deliver"]):
        told.stores[f"{level}{spec['suffix']}"] = store
        return Done(told)
    product = None
    if "safe" in order.formats:
        describe_strip(spec["l0"], store, spec["aux"])
        release = TaskGraph()
        product, _ = add_safe(release, store, context.work, context.created)
        context.graph("release", release)
    _state_version(store)
    told.products = release_datastrip(store, order.out, order.formats, product=product, created=context.created)
    if "zarr" in order.formats:
        forget(store)
    else:
        told.stores[f"{level}{spec['suffix']}"] = store
    return Done(told, _products(told.products, level))


def _deliver_l0(context: Context) -> Done:
    spec, told, order, formats = context.unit.spec, Told(), context.order, context.order.formats
    l0, pictures = str(spec["l0"]), None
    close_strip(spec["raw"], spec["strip"])
    keep_indicators(told, l0, order, spec["checks"])
    if "safe" in formats and strip_facts(l0).attrs.get("degraded"):
        told.withheld.append(f"{l0}: a degraded datatake has no footprints, which the SAFE needs")
        formats = ("zarr",)
    elif "safe" in formats:
        pictures = mosaic(quicklook(l0, spec["aux"]))
    house = take_housekeeping(spec["raw"]) if "safe" in order.formats else None
    _state_version(l0)
    told.products = release_datastrip(l0, order.out, formats, house=house, pictures=pictures, created=context.created)
    if "zarr" in formats:
        forget(l0)
    return Done(told, _products(told.products, "L0"))


def _state_version(store: str) -> None:
    """Have a store that is delivered say which version made it."""
    set_attributes(store, {"processing:software": {"s2dask": __version__}})


def _products(paths: list[str], level: str) -> tuple[Made, ...]:
    return tuple(Made(PurePosixPath(p).name, level, p) for p in paths if p.endswith((".SAFE", ".zarr")))
