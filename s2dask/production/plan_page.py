"""A plan for people: tables for the terminal, and the same on a page."""

from collections.abc import Sequence
from typing import Final

from s2dask.graph.unit import Cost
from s2dask.production.forecast import Forecast, Promise
from s2dask.production.plan import Plan
from s2dask.qc.sheet import Grid, Heading, Paragraph, Sheet

_LONG: Final = 24
"""Tiles and units that a table has at most before it says how many more there are."""
Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""Title, header, rows; the first column holds words."""


def _giga(value: float, digits: int = 2) -> str:
    return f"{value * 1e-9:,.{digits}f}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f}"


def _cost_row(name: str, units: int, cost: Cost, longest: float) -> tuple[str, ...]:
    return (
        name, f"{units:,}", f"{cost.tasks:,}", _giga(cost.pixels, 1), _giga(cost.bytes_in, 1),
        _giga(cost.bytes_out, 1), f"{cost.peak_bytes / 2**30:.2f}", f"{longest:,.0f}", _hours(cost.core_seconds),
    )  # fmt: skip


def units_table(made: Plan) -> Table:
    """Return the units by kind."""
    header = ("kind", "units", "tasks", "Gpx", "GB in", "GB out", "peak GiB", "longest s", "core h")
    longest: dict[str, float] = {}
    for planned in made.units:
        seconds = planned.unit.cost.core_seconds
        longest[planned.unit.kind] = max(longest.get(planned.unit.kind, 0.0), seconds)
    rows = [_cost_row(kind, n, cost, longest[kind]) for kind, (n, cost) in made.by_kind().items()]
    whole = _cost_row("all", len(made.units), made.cost, max(longest.values()))
    return "Units", header, [*rows, whole]


def steps_table(made: Plan) -> Table:
    """Return what each step costs."""
    steps, whole = made.by_step(), max(made.estimate.seconds, 1e-9)
    rows = [(step, f"{n:,}", f"{s:,.1f}", f"{100 * s / whole:.1f}") for step, (n, s) in steps.items()]
    return "Steps", ("step", "tasks", "core s", "% of all"), rows


def strips_table(made: Plan) -> Table:
    """Return the datastrips."""
    header = ("sensing", "scenes", "detectors", "bands", "packets", "tiles", "as full tiles")
    rows = [
        (f"{facts['sensing_start']} – {facts['sensing_stop'][11:]}", str(facts["scenes"]),
         str(len(facts["detectors"])), str(len(facts["bands"])), facts["codec"], str(facts["tiles"]),
         f"{facts['full_tiles']:.1f}")
        for facts in (strip.facts() for strip in made.source.strips)
    ]  # fmt: skip
    return "Datastrips", header, rows


def tiles_table(made: Plan, most: int | None = _LONG) -> Table:
    """Return the tiles, those that are covered most first."""
    found = sorted(
        (p.unit for p in made.units if p.unit.kind == "TILE"),
        key=lambda unit: (-float(unit.spec["cover"]), str(unit.spec["tile"])),
    )
    rows = [
        (f"T{u.spec['tile']}", f"{100 * float(u.spec['cover']):.1f}", str(u.spec["granules"]),
         f"{u.cost.core_seconds:.0f}")
        for u in found[:most]
    ]  # fmt: skip
    if most is not None and len(found) > most:
        rows.append((f"and {len(found) - most} more", "", "", f"{sum(u.cost.core_seconds for u in found[most:]):,.0f}"))
    return "Tiles", ("tile", "% covered", "granules", "core s"), rows


def promises_table(found: Sequence[Promise]) -> Table:
    """Return what each promise takes."""
    counts = sorted({n for promise in found for n in promise.times})
    header = (
        "product, delivery", "within min", "core h", "cores needed", "then min", *(f"min on {n}" for n in counts),
    )  # fmt: skip
    rows = [
        (f"{p.level} {p.delivery}", f"{p.limit / 60:.0f}", _hours(p.core_seconds),
         "no number" if p.cores is None else str(p.cores), f"{p.seconds / 60:.1f}",
         *(f"{p.times[n] / 60:.0f}" for n in counts))
        for p in found
    ]  # fmt: skip
    return "Cores for the promised times", header, rows


def stages_table(found: Sequence[Promise]) -> Table:
    """Return when each stage of the runs of `promises_table` begins and ends."""
    kinds = list(dict.fromkeys(kind for promise in found for kind in promise.stages))
    rows = [
        (f"{p.level} {p.delivery}", "-" if p.cores is None else str(p.cores),
         *("–".join(f"{moment / 60:.1f}" for moment in p.stages[k]) if k in p.stages else "" for k in kinds),
         _giga(p.disk, 0))
        for p in found
    ]  # fmt: skip
    header = ("product, delivery", "cores", *(f"{kind} min" for kind in kinds), "disk GB")
    return "Stages on these cores, after the last input", header, rows


def disk_note(done: Forecast) -> str:
    """Return how much disk a simulated run takes, in a sentence."""
    return (
        f"{done.workers} workers: at most {_giga(done.disk)} GB of working stores, tiles of {_giga(done.delivered)} GB"
    )


def headline(made: Plan) -> str:
    """Return the cost of the whole in a sentence."""
    e = made.estimate
    of = f"{len(made.tiles)} tiles" if made.tiles else f"{len(made.source.strips)} datastrips"
    return (
        f"{made.source.name} to {made.to} ({made.delivery}): {len(made.units):,} units, {made.cost.tasks:,} tasks, "
        f"{of}, {_hours(e.seconds)} core hours, 80 % interval {_hours(e.low)} to {_hours(e.high)}"
    )


def notes(made: Plan) -> list[str]:
    """Return what a person should know, a line each."""
    read, held = made.source.read, sum(made.source.files)
    looked = [f"{read * 1e-6:,.0f} MB of {held * 1e-9:,.2f} GB were read to plan"] if held else []
    return [*looked, *(f"assumed: {flag}" for flag in made.flags)]


def tables(made: Plan, found: Sequence[Promise] = (), most: int | None = _LONG) -> list[Table]:
    """Return all tables of a plan; those without rows are left out."""
    all_of = [
        strips_table(made), units_table(made), promises_table(found), stages_table(found), steps_table(made),
        tiles_table(made, most),
    ]  # fmt: skip
    return [table for table in all_of if table[2]]


def plan_sheet(made: Plan, found: Sequence[Promise] = ()) -> Sheet:
    """Return a plan as a document."""
    blocks: list[Heading | Paragraph | Grid] = [Paragraph(headline(made))]
    blocks += [Paragraph(note, "quiet") for note in notes(made)]
    for title, header, rows in tables(made, found, None):
        blocks += [Heading(title), Grid(header, rows)]
    return Sheet(f"Plan of {made.source.name}", f"{made.source.url} to {made.to}, {made.delivery}", blocks)
