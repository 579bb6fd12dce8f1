"""The plan of a campaign: what it will make of an archive, what that costs, when it can be done, what is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from html import escape
from typing import Any, Final

from s2dask.auxdata.time import gps_to_utc
from s2dask.errors import ConfigurationError, S2Error
from s2dask.graph.cost import CostModel, Estimate
from s2dask.graph.unit import REPROCESSING
from s2dask.io.storage import filesystem, is_local
from s2dask.production.campaign_archive import Source, find_sources, refusal
from s2dask.production.campaign_aux import Frozen, check_one_set, freeze, missing_aux
from s2dask.production.campaign_page import duration, table_html
from s2dask.production.campaign_request import Request
from s2dask.production.forecast import simulate_plan
from s2dask.production.order import Order
from s2dask.production.plan import Plan, plan
from s2dask.production.plan_source import PlanSource, look_at
from s2dask.production.plan_work import Delivery
from s2dask.qc.sheet import Grid, Heading, Paragraph, Sheet

_ETA_CORES: Final = (4, 16, 64, 256)
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Planned:
    """A source of a campaign.

    Attributes
    ----------
    source : Source
    made : Plan or None
        None: it cannot be planned.
    problem : str
        Why not; its run will say the same, as a gap in the ledger.
    tiles : tuple of str
        To be made.
    bytes : int
        Of its files [B].
    needed, assumed : tuple of str
        Auxiliary files that are not there: without the first it is not made, for the others something is assumed.
    frozen : tuple of Frozen
        GIPPs of each datastrip.
    """

    source: Source
    made: Plan | None = None
    problem: str = ""
    tiles: tuple[str, ...] = ()
    bytes: int = 0
    needed: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    frozen: tuple[Frozen, ...] = ()

    @property
    def strips(self) -> int:
        """Datastrips that it holds."""
        return 0 if self.made is None else max(len(self.made.source.strips), 1)

    def facts(self) -> dict[str, Any]:
        """Return it, JSON-able."""
        estimate = None if self.made is None else self.made.estimate
        return {
            "source": self.source.url, "name": self.source.name, "kind": self.source.kind, "unit": self.source.unit,
            "datastrips": self.strips, "tiles": list(self.tiles), "bytes": self.bytes, "problem": self.problem,
            "core_seconds": 0.0 if estimate is None else estimate.seconds,
            "interval_80": None if estimate is None else [estimate.low, estimate.high],
            "missing": list(self.needed), "assumed": list(self.assumed),
            "gipps": sorted({one.id for one in self.frozen}),
        }  # fmt: skip


@dataclass(frozen=True)
class CampaignPlan:
    """What a campaign will make.

    Attributes
    ----------
    request : Request
    planned : tuple of Planned
        In the order in which they will be run.
    left_out : tuple of (str, str)
        Sources of the archive that are not of the campaign, and why.
    """

    request: Request
    planned: tuple[Planned, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def datastrips(self) -> int:
        """Number of datastrips."""
        return sum(p.strips for p in self.planned)

    @property
    def terabytes(self) -> float:
        """Of the sources [TB]."""
        return sum(p.bytes for p in self.planned) * 1e-12

    @property
    def tiles(self) -> int:
        """Tiles of datastrips to be made: one that two datastrips touch counts twice."""
        return sum(len(p.tiles) for p in self.planned)

    @cached_property
    def estimate(self) -> Estimate:
        """Core seconds of the whole, with their 80 % interval."""
        plans = [p.made for p in self.planned if p.made is not None]
        if not plans:
            return Estimate(0.0, 0.0, 0.0)
        return plans[0].costs.predict(work for made in plans for work in made.works)

    def price(self, core_hour: float) -> tuple[float, float, float]:
        """Return what it costs when a core hour costs so much: expected, and between (80 %)."""
        e = self.estimate
        return e.seconds / 3600 * core_hour, e.low / 3600 * core_hour, e.high / 3600 * core_hour

    @property
    def missing(self) -> dict[str, list[str]]:
        """Auxiliary files without which something is not made, and the sources that lack them."""
        return self._lacking("needed")

    @property
    def assumed(self) -> dict[str, list[str]]:
        """Auxiliary files for which something is assumed, and the sources that lack them."""
        return self._lacking("assumed")

    def _lacking(self, which: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for p in self.planned:
            for what in getattr(p, which):
                found.setdefault(what, []).append(p.source.name)
        return found

    def eta(self, cores: int) -> tuple[float, float, float]:
        """Return when it is done on some cores: expected, and between (80 %) [s].

        Notes
        -----
        Core seconds over cores, and not before the last source is through: the longest of them is simulated on these
        cores, of which half is taken, since the sources before it fill its gaps but not its end.
        """
        if cores < 1:
            raise ConfigurationError(f"{cores} cores", "eta", "one at least")
        plans = [p.made for p in self.planned if p.made is not None]
        if not plans:
            return 0.0, 0.0, 0.0
        e = self.estimate
        longest = max(plans, key=lambda made: made.estimate.seconds)
        alone = simulate_plan(longest, cores).seconds
        tail = max(alone - longest.estimate.seconds / cores, 0.0)
        scale = max(e.seconds, 1e-9)
        return tuple(s / cores + tail * s / scale for s in (e.seconds, e.low, e.high))  # type: ignore[return-value]

    def facts(self) -> dict[str, Any]:
        """Return all of it, JSON-able."""
        e = self.estimate
        return {
            "campaign": self.request.spec(), "datastrips": self.datastrips, "terabytes": self.terabytes,
            "tiles": self.tiles, "core_hours": e.seconds / 3600, "interval_80": [e.low / 3600, e.high / 3600],
            "eta_hours": {str(n): [s / 3600 for s in self.eta(n)] for n in _ETA_CORES},
            "missing": self.missing, "assumed": self.assumed, "sources": [p.facts() for p in self.planned],
            "problems": {p.source.name: p.problem for p in self.planned if p.problem},
            "left_out": [list(one) for one in self.left_out],
        }  # fmt: skip

    def headline(self) -> str:
        """Return the whole in a sentence."""
        e = self.estimate
        return (
            f"{self.request.name} to {self.request.to}, {self.request.baseline}: {len(self.planned)} sources, "
            f"{self.datastrips} datastrips, {self.terabytes:.3f} TB, {self.tiles} tiles, {e.seconds / 3600:,.2f} core "
            f"hours, 80 % interval {e.low / 3600:,.2f} to {e.high / 3600:,.2f}"
        )

    def tables(self) -> Iterator[tuple[str, Sequence[str], list[tuple[str, ...]]]]:
        """Yield title, header and rows of each table that has any."""
        sources: list[tuple[str, ...]] = [
            (p.source.name, p.source.unit or "?", str(p.strips), str(len(p.tiles)), f"{p.bytes * 1e-9:,.2f}",
             "?" if p.made is None else f"{p.made.estimate.seconds / 3600:,.2f}", p.problem or "-")
            for p in self.planned[:_LONGEST]
        ]  # fmt: skip
        rows: dict[str, tuple[Sequence[str], list[tuple[str, ...]]]] = {
            "Sources": (("source", "unit", "datastrips", "tiles", "GB", "core h", "problem"), sources),
            "When it is done": (
                ("cores", "expected", "80 % from", "to"),
                [(str(n), *(duration(s) for s in self.eta(n))) for n in _ETA_CORES],
            ),
            "Missing auxiliary files": (("file", "sources"), [(w, str(len(n))) for w, n in self.missing.items()]),
            "Assumed for want of files": (("file", "sources"), [(w, str(len(n))) for w, n in self.assumed.items()]),
        }
        for title, (header, found) in rows.items():
            if found:
                yield title, header, found

    def sheet(self) -> Sheet:
        """Return the plan as a document."""
        blocks: list[Heading | Paragraph | Grid] = [Paragraph(self.headline())]
        for title, header, rows in self.tables():
            blocks += [Heading(title), Grid(header, rows)]
        return Sheet(f"Plan of campaign {self.request.name}", self.request.source, blocks)

    def _repr_html_(self) -> str:
        tables = [f"<h4>{title}</h4>{table_html(header, rows)}" for title, header, rows in self.tables()]
        return f"<p>{escape(self.headline())}</p>{''.join(tables)}"


def _sensing(found: PlanSource, source: Source) -> tuple[datetime, datetime] | None:
    if not found.strips:
        return None if source.date is None else (source.date, source.date)
    return gps_to_utc(min(s.sensing[0] for s in found.strips)), gps_to_utc(max(s.sensing[1] for s in found.strips))


def _size(found: PlanSource, source: Source) -> int:
    if found.files:
        return sum(found.files)
    fs, path = filesystem(source.url)
    return int(sum(fs.du(path, total=False).values())) if fs.isdir(path) else int(fs.size(path) or 0)


def _aux(order: Order) -> str | None:
    """Return the folder of auxiliary files of a source; None of an L1C product, which can do without."""
    try:
        return order.aux_folder()
    except S2Error:
        if is_local(order.source) and order.is_safe and order.aux is None:
            return None
        raise


def _planned(
    request: Request, source: Source, wanted: frozenset[str] | None, costs: CostModel | None, delivery: Delivery
) -> Planned | str:
    """Return what is planned of a source, or why it is not of the campaign."""
    request.prepare(source.url)
    order = request.order(source.url)
    found = look_at(source.url, order.aux, located=request.to in ("L1C", "L2A"))
    sensing, touched = _sensing(found, source), {name for strip in found.strips for name in strip.tiles}
    if request.unit and found.unit not in request.unit:
        return f"of {found.unit}"
    if request.dates is not None and sensing is not None and not (
        sensing[0] < request.dates[1] and sensing[1] >= request.dates[0]
    ):  # fmt: skip
        return f"sensed {sensing[0]:%Y-%m-%dT%H:%M:%S}"
    chosen = sorted(touched if wanted is None else touched & wanted)
    if wanted is not None and not chosen and request.to in ("L1C", "L2A") and found.kind != "l1c":
        return f"touches {', '.join(sorted(touched)[:5]) or 'no tile'}"
    made = plan(
        found, to=request.to, aux=order.aux, delivery=delivery, tiles=chosen if found.kind != "l1c" else (),
        priority=REPROCESSING, costs=costs, memory=None,
    )  # fmt: skip
    source = replace(source, unit=found.unit)
    tiles = tuple(made.tiles)
    aux = _aux(order)
    if aux is None or sensing is None or found.kind == "l1c":
        return Planned(source, made, tiles=tiles, bytes=_size(found, source))
    needed, assumed = missing_aux(aux, request.to, found.unit, sensing, tiles)
    frozen = [
        freeze(aux, found.unit, (gps_to_utc(strip.sensing[0]), gps_to_utc(strip.sensing[1])))
        for strip in found.strips if request.to != "L0"
    ]  # fmt: skip
    return Planned(source, made, "", tiles, _size(found, source), tuple(needed), tuple(assumed), tuple(frozen))


def plan_campaign(
    request: Request, costs: CostModel | None = None, sources: Sequence[Source] | None = None
) -> CampaignPlan:
    """Plan a campaign; nothing is decoded or written.

    Parameters
    ----------
    request : Request
    costs : CostModel, optional
        Of `s2dask.graph.cost_history.calibrated_costs`; default: what comes with s2dask.
    sources : sequence of Source, optional
        Default: what the archive holds.

    Raises
    ------
    ConfigurationError
        For a mix of GIPP sets, or two sources of one name.
    """
    wanted, options = request.wanted(), request.options
    delivery: Delivery = options.get("jp2_profile", "s2-strict") if options.get("tile_safe", True) else "zarr"
    planned, left_out = [], []
    folders: dict[str, str] = {}
    for source in find_sources(request.source) if sources is None else sources:
        if reason := refusal(source, request, wanted):
            left_out.append((source.url, reason))
            continue
        try:
            found = _planned(request, source, wanted, costs, delivery)
        except (S2Error, OSError) as error:
            found = Planned(source, problem=str(error))
        if isinstance(found, str):
            left_out.append((source.url, found))
            continue
        if (other := folders.setdefault(request.order(source.url).work.name, source.url)) != source.url:
            raise ConfigurationError(f"has the name of {other}", source.url, "rename one: runs go by these names")
        planned.append(found)
    check_one_set((p.source.name, one) for p in planned for one in p.frozen)
    return CampaignPlan(request, tuple(planned), tuple(left_out))
