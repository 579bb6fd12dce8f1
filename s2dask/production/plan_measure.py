"""What the tasks of a run cost, by step and size as the cost model has them: for a history of measured runs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from s2dask.graph.cost_history import Sample
from s2dask.graph.tasks import Outcome
from s2dask.graph.unit import Unit
from s2dask.instrument import BANDS, LINES_PER_PACKET
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.io.grids import TileGrid
from s2dask.production.blocks import default_blocking
from s2dask.production.order import Order
from s2dask.production.plan_work import (
    Delivery,
    TileShape,
    granule_packet_bytes,
    granule_pixels,
    image_step,
    images_of,
    mask_step,
    masks_of,
    zarr_mega,
)
from s2dask.production.strip import strip_facts

_FIXED = ("RADIO_INIT", "TILE_INIT", "TILE_FINALIZE", "L2A_INIT", "L2A_FINALIZE", "FORMAT_METADATA_DS", "FORMAT_LINK")
_GRANULE = ("RADIO_AB", "DECOMP", "UNFORMAT_SAFE_GR")


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made, as far as the sizes of its tasks depend on it.

    Attributes
    ----------
    bands : tuple of str
    codec : str
    tiles : mapping of str to TileGrid
        By name: ``T28SCB``.
    delivery : str
        JPEG 2000 profile.
    """

    bands: tuple[str, ...]
    codec: str
    tiles: Mapping[str, TileGrid]
    delivery: Delivery = "s2-strict"


def _seen(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Return the share of each tile that images cover: by their records, 1 where there are none."""
    pixels: dict[str, float] = defaultdict(float)
    unseen: dict[str, float] = defaultdict(float)
    for outcome in outcomes:
        if outcome.step == "GEN_ORTHO_TOA":
            tile = outcome.key.split("-")[1]
            pixels[tile] += sum(v for k, v in outcome.result.items() if k.endswith(".pixels"))
            unseen[tile] += sum(v for k, v in outcome.result.items() if k.endswith(".unseen"))
    return {tile: 1.0 - unseen[tile] / total for tile, total in pixels.items() if total}


def _ortho(outcome: Outcome) -> tuple[str, float]:
    def total(what: str) -> float:
        return float(sum(v for k, v in outcome.result.items() if k.endswith(what)))

    return f"GEN_ORTHO_TOA-{outcome.key.split('-')[2]}", 1e-6 * (total(".pixels") - total(".unseen"))


def _block(tile: TileShape, key: str, resolution: int) -> float:
    row, column = (int(part) for part in key.split("-")[-2:])
    size = next(
        (b.rows.stop - b.rows.start) * (b.columns.stop - b.columns.start)
        for b in default_blocking(tile.grid).blocks(tile.grid, resolution)
        if (b.row, b.column) == (row, column)
    )
    return float(tile.cover * size * 1e-6)


def _tile(outcome: Outcome, shapes: Mapping[str, TileShape], made: Made) -> tuple[str, float] | None:
    """Return step and size of a task of a tile."""
    step, parts = outcome.step, outcome.key.split("-")
    if step == "GEN_ORTHO_TOA":
        return _ortho(outcome)
    level = parts[1] if step.startswith("FORMAT_") else ""
    shape = shapes.get(parts[2] if level in ("L1C", "L2A") else parts[1])
    if shape is None:
        return None
    if step == "MASK_S2":
        return step, _block(shape, outcome.key, 60)
    if step in ("L2A_DDV", "L2A_AC"):
        return step, _block(shape, outcome.key, 20)
    if step == "L2A_AOT_WV":
        return step, shape.cover * shape.mega(20)
    if step in ("FORMAT_ZARR", "FORMAT_METADATA"):
        return step, zarr_mega(level, shape)
    if step == "FORMAT_IMG":
        piece = "-".join(parts[3:])
        images, masks = dict(images_of(level, shape)), dict(masks_of(level, shape))
        if piece in images:
            return image_step(piece, made.delivery), images[piece]
        return (mask_step(piece, made.delivery), masks[piece]) if piece in masks else None
    return None


def _size(outcome: Outcome, shapes: Mapping[str, TileShape], made: Made) -> tuple[str, float] | None:
    """Return step and size of a task, None for one that has no cost of its own."""
    step = outcome.step
    if step in _FIXED:
        return step, 0.0
    if step == "EISPProcessor":
        return step, outcome.result.counters["frames"] * CADU_BYTES * 1e-6
    if outcome.key == "MSI_Merge-plan":
        packets = sum(
            BANDS[name].lines_per_scene // LINES_PER_PACKET
            for update in outcome.result
            for _, name, _ in update.granules
        )
        return outcome.key, packets * 1e-6
    if step == "MSI_Merge":
        return step, granule_packet_bytes(made.bands, made.codec) * 1e-6
    if step in _GRANULE:
        return step, granule_pixels(made.bands) * 1e-6
    if step == "OLQC_DS_L1B":
        record = outcome.result["record"]
        return step, sum(v for k, v in record.items() if k.endswith(".pixels")) / granule_pixels(made.bands) * 1e-6
    return _tile(outcome, shapes, made)


def samples_of_unit(unit: Unit, outcomes: Sequence[Outcome]) -> list[Sample]:
    """Return the measured tasks of a unit of a run, as `samples_of` does.

    Parameters
    ----------
    unit : Unit
    outcomes : sequence of Outcome
        Of all its tasks, with their results.
    """
    spec = unit.spec
    order = spec["order"]
    if order["blocking"] is not None:
        return []  # sizes are told of the usual blocks only
    facts = strip_facts(str(spec["l0"])) if spec.get("images") else None
    grid = TileGrid(**spec["grid"]) if "grid" in spec else None
    made = Made(
        tuple(BANDS) if facts is None else facts.bands, "" if facts is None else facts.codec,
        {} if grid is None else {f"T{grid.tile_id}": grid}, Order.of(order).delivery,
    )  # fmt: skip
    return list(samples_of(outcomes, made))


def samples_of(outcomes: Sequence[Outcome], made: Made) -> Iterator[Sample]:
    """Yield the measured tasks of a run, in core seconds; tasks that the cost model does not know are left out.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of every task of the run.
    made : Made
    """
    cover = _seen(outcomes)
    shapes = {name: TileShape(grid, made.bands, cover.get(name, 1.0)) for name, grid in made.tiles.items()}
    for outcome in outcomes:
        found = _size(outcome, shapes, made)
        if found is not None:
            yield Sample(*found, outcome.core_seconds or outcome.seconds, outcome.peak_bytes)
