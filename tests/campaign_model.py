"""Campaigns whose sessions are made up: the queue, the dispatcher and the ledger are real, the work is a small file."""

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from s2dask.graph.tasks import TaskGraph
from s2dask.graph.unit import Unit, identity_of
from s2dask.production.campaign import Campaign
from s2dask.production.campaign_archive import Source
from s2dask.production.campaign_plan import CampaignPlan, Planned
from s2dask.production.work import Context, Done, Made, Told
from s2dask.release.publish import MANIFEST

TILES = ("28SCB", "28SDB")


class Killed(BaseException):
    """The end of a process, as far as a test of one process can have it."""


def _count(folder: str, name: str) -> str:
    Path(folder, f"{name}.{time.time_ns()}").touch()
    return name


class Works:
    """Works that leave a file for each time that a unit is run, in ``ran`` of the delivery folder.

    Attributes
    ----------
    failing : dict of str to BaseException
        What units of a name (``session-a TILE-T28SCB``) fail of.
    lethal : int or None
        After how many units the process dies.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.failing, self.lethal = out, dict[str, BaseException](), None
        self.kinds = {"SESSION": self.session, "L1B": self.plain, "STRIP": self.plain, "L1C": self.tile,
                      "L2A": self.tile}  # fmt: skip
        (out / "ran").mkdir(parents=True, exist_ok=True)

    def _run(self, context: Context) -> str:
        name = f"{context.order.work.name} {context.unit.name}"
        if name in self.failing:
            raise self.failing[name]
        if self.lethal is not None:
            if self.lethal == 0:
                raise Killed(name)
            self.lethal -= 1
        graph = TaskGraph()
        last = graph.add(f"COUNT-{name}", _count, str(self.out / "ran"), name)
        return str(context.graph("COUNT", graph)[last.key].result)

    def plain(self, context: Context) -> Done:
        """Run a unit that delivers nothing."""
        self._run(context)
        return Done(Told())

    def session(self, context: Context) -> Done:
        """Call for two granules, a datastrip and its tiles."""
        self._run(context)
        source, spec, after = context.order.source, dict(context.unit.spec), context.unit.priority + 1

        def unit(name: str, kind: str, *before: str, tile: str = "") -> Unit:
            own = {"to": "L2A"} | ({"tile": tile} if tile else {})
            identity = identity_of(kind, {}, {"source": source, "name": name}, {})
            return Unit(name=name, kind=kind, spec={**spec, "strip": 0, **own}, after=before, identity=identity,
                        priority=after)  # fmt: skip

        granules = [unit(f"L1B-D0{d}", "L1B") for d in (1, 2)]
        strip = unit("STRIP", "STRIP", *(g.name for g in granules))
        tiles = [
            one
            for t in TILES
            for one in (
                unit(f"L1C-T{t}", "L1C", "STRIP", tile=t), unit(f"TILE-T{t}", "L2A", "STRIP", f"L1C-T{t}", tile=t),
            )
        ]  # fmt: skip
        return Done(Told(), children=(*granules, strip, *tiles))

    def tile(self, context: Context) -> Done:
        """Deliver a product of one file, which the source settles."""
        name, level, spec = self._run(context), str(context.unit.kind), context.unit.spec
        folder = self.out / f"{context.order.work.name}-{level}-T{spec['tile']}"
        product = folder / "product.zarr"
        product.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(name.encode()).hexdigest()
        (folder / MANIFEST).write_text(
            f'{{"files": [{{"path": "product.zarr/b/c/0/0", "sha256": "{digest}", "bytes": 1}}]}}'
        )
        return Done(Told(products=[str(product)]), (Made(product.name, level, str(product), spec["tile"]),))

    def ran(self) -> Counter[str]:
        """Return how often each unit was run."""
        return Counter(p.name.rpartition(".")[0] for p in sorted((self.out / "ran").iterdir()))

    def order(self) -> list[str]:
        """Return the units as they were run."""
        return [p.name.rpartition(".")[0] for p in sorted((self.out / "ran").iterdir(), key=lambda p: p.suffix)]


class MadeUp(Campaign):
    """A campaign of sessions that are only names."""

    names: Sequence[str] = ("session-a", "session-b", "session-c")

    def plan(self, *, again: bool = False) -> CampaignPlan:
        """Return a plan of the names."""
        root = self.request.source
        sources = [Source(f"{root}/{name}", name, "session", "S2A") for name in self.names]
        return CampaignPlan(self.request, tuple(Planned(s, tiles=TILES) for s in sources))


def made_up(out: Path, name: str = "camp", names: Sequence[str] = MadeUp.names) -> tuple[MadeUp, Works]:
    """Return a campaign of made-up sessions, and what it is run with."""
    works = Works(out)
    campaign = MadeUp(name, source=str(out / "archive"), deliver=str(out))
    campaign.names, campaign.works = names, works.kinds
    return campaign, works
