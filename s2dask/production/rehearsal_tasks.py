"""The graphs of a rehearsal: the tasks of a run, resting as long as they are expected to work, or not at all."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from s2dask.auxdata.gipp_set import EPOCH, GippFile, GippSet
from s2dask.auxdata.gipp_types import PER_BAND, TYPES
from s2dask.graph.tasks import Ref, TaskGraph
from s2dask.instrument import BANDS
from s2dask.production.plan_work import Delivery, Stage, TileShape, image_step, images_of, mask_step, masks_of
from s2dask.release.publish import publish
from s2dask.release.safe_pieces import Piece
from s2dask.release.tile import TileRelease

RESULT_BYTES: Final[Mapping[str, int]] = {
    "EISPProcessor": 160_000, "MSI_Merge": 1_500, "MSI_Merge-plan": 4_000_000, "RADIO_AB": 21_000, "DECOMP": 21_000,
    "OLQC_DS_L1B": 27_000, "TILE_INIT": 9_500, "GEN_ORTHO_TOA": 9_700, "MASK_S2": 950, "TILE_FINALIZE": 10_400,
    "L2A_INIT": 46_000, "L2A_DDV": 14_000_000, "L2A_AOT_WV": 9_600_000, "L2A_AC": 5_300, "L2A_FINALIZE": 7_700,
}  # fmt: skip
"""Of what a task hands back, pickled [B]; of other steps `_SMALL`. Measured on a session of two detectors, and scaled
to full files, blocks and tiles where it grows with them."""
_SMALL: Final = 300
_KINDS_OF_MASK: Final = ("DETFOO", "QUALIT", "CLASSI", "CLDPRB", "SNWPRB", "PVI")


def _rest(seconds: float, size: int, _function: Callable[..., Any], *_args: Any, **_kwargs: Any) -> bytes:
    """Take the place of a function: its arguments come all the same."""
    if seconds:
        time.sleep(seconds)
    return bytes(size)


def _label(key: str, delivery: str) -> str:
    """Return the step of a task as the cost model names it."""
    step, *parts = key.split("-")
    if key == "MSI_Merge-plan":
        return key
    if step == "GEN_ORTHO_TOA":
        return f"{step}-{parts[1]}"
    if step != "FORMAT_IMG":
        return step
    if set(parts[2:]) & set(_KINDS_OF_MASK):
        return mask_step("-".join(parts[2:]), delivery)
    return image_step("-".join(parts[-2:]), delivery)


@dataclass
class RestingGraph(TaskGraph):
    """A graph whose tasks rest: to be filled by the functions that fill the real one.

    Attributes
    ----------
    delivery : str
    left : mapping of str to deque of float
        How long tasks rest [s], by step as the cost model names it, in the order in which they are added.
    """

    delivery: Delivery = "s2-strict"
    left: Mapping[str, deque[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, stages: Sequence[Stage], seconds: Sequence[Sequence[float]], delivery: Delivery) -> Self:
        """Return the graph of a unit.

        Parameters
        ----------
        stages : sequence of Stage
            Its tasks.
        seconds : sequence of sequence of float
            How long they rest, task by task of each stage [s].
        delivery : str
        """
        left: dict[str, deque[float]] = defaultdict(deque)
        for stage, found in zip(stages, seconds, strict=True):
            steps = (work.step for work in stage for _ in range(work.count))
            for step, rest in zip(steps, found, strict=True):
                left[step].append(rest)
        return cls(delivery=delivery, left=left)

    def then(self) -> Self:
        """Return the next graph of the unit: its other tasks."""
        return type(self)(delivery=self.delivery, left=self.left)

    def rest_of(self, key: str) -> float:
        """Return how long the next task of a step rests [s]."""
        return self.left[_label(key, self.delivery)].popleft()

    def add(
        self, key: str, function: Callable[..., Any], *args: Any, after: tuple[Ref, ...] = (), stays: bool = False,
        **kwargs: Any,
    ) -> Ref:  # fmt: skip
        """Add a task that rests in the place of a function."""
        step = key if key == "MSI_Merge-plan" else key.split("-", 1)[0]
        size = RESULT_BYTES.get(step, _SMALL)
        return super().add(key, _rest, self.rest_of(key), size, function, *args, after=after, stays=stays, **kwargs)

    def add_publication(self, key: str, delivery: str, pieces: Sequence[Ref], copied: Ref) -> Ref:
        """Add the task that delivers a product, a small one; it returns the paths."""
        return super().add(key, _publish, self.rest_of(key), delivery, list(pieces), after=(copied,))


def _publish(seconds: float, delivery: str, _counts: Sequence[bytes]) -> list[str]:
    name = Path(delivery).name

    def build(folder: Path) -> None:
        safe, zarr = folder / f"{name}.SAFE" / "GRANULE", folder / f"{name}.zarr" / "b04" / "c" / "0"
        for place, file in ((safe, "B04.jp2"), (zarr, "0")):
            place.mkdir(parents=True)
            (place / file).write_text(name)
        (folder / f"{name}.json").write_text("{}")

    time.sleep(seconds)
    return publish([build], delivery)


def add_release(
    graph: RestingGraph, work: Path, shape: TileShape, products: Mapping[str, str], tile: str
) -> dict[str, Ref]:
    """Add the tasks that deliver a tile, those of `s2dask.production.tile_release`; return the last of each product.

    Parameters
    ----------
    graph : RestingGraph
    work : Path
    shape : TileShape
    products : mapping of str to str
        Where each product appears, by level.
    tile : str
        In the names of the tasks: ``T28SCB``.
    """
    ready, last = graph.add(f"FORMAT_METADATA_DS-{tile}", publish, list(products.values()), "l0.zarr", "aux"), {}
    for level, delivery in products.items():
        what, folder = TileRelease(f"{work}/{level}-{tile}.zarr"), f"{work}/release-{level}-{tile}"
        linked = level == "L2A" and "L1C" in products
        images = [] if graph.delivery == "zarr" else [*images_of(level, shape), *masks_of(level, shape, not linked)]
        pieces = [
            graph.add(
                f"FORMAT_IMG-{level}-{tile}-{name}", TileRelease.write_piece, what, Piece("image", "B04", 10), folder,
                after=(ready,),
            )
            for name, _ in sorted(images, key=lambda image: -image[1])
        ]  # fmt: skip
        if linked and graph.delivery != "zarr":
            pieces.append(graph.add(f"FORMAT_LINK-{level}-{tile}", TileRelease.write_piece, what, after=(ready,)))
        copied = graph.add(f"FORMAT_ZARR-{level}-{tile}", TileRelease.write_zarr, what, folder, after=(ready,))
        last[level] = graph.add_publication(f"FORMAT_METADATA-{level}-{tile}", delivery, pieces, copied)
    return last


def gipps_of(unit: str) -> GippSet:
    """Return a set of as many GIPPs as a datatake has: it goes with every task of a granule."""
    files = [
        GippFile(kind, band, unit, EPOCH, EPOCH, EPOCH, name, Path("gipp") / name)
        for kind in TYPES
        for band in (BANDS if kind in PER_BAND else ("B00",))
        for name in [f"{unit}_OPER_GIP_{kind}_MPC__20200801T000000_V20150622T000000_21000101T000000_{band}.DBL"]
    ]
    return GippSet(unit, tuple(files), "0" * 64)
