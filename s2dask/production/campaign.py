"""A campaign: the sessions of an archive processed with one baseline; planned, run, watched, resumed and accounted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from distributed import Client

from s2dask import __version__
from s2dask.errors import ConfigurationError
from s2dask.graph.cost import CostModel
from s2dask.graph.unit import REPROCESSING
from s2dask.production.campaign_account import Account, account_of, core_seconds
from s2dask.production.campaign_aux import checksums
from s2dask.production.campaign_intake import check_alone, check_frozen, root_of, run_of, told_of
from s2dask.production.campaign_plan import CampaignPlan, plan_campaign
from s2dask.production.campaign_progress import Progress
from s2dask.production.campaign_queue import ABREAST
from s2dask.production.campaign_request import THIS_BASELINE, Request
from s2dask.production.campaign_service import LEASE, RETRY, Service
from s2dask.production.campaign_work import CAMPAIGN_WORKS
from s2dask.production.ledger import ABORTED, PAUSED, RUNNING, STOPPED, Ledger
from s2dask.production.progress import Listener
from s2dask.production.standing import needed
from s2dask.production.work import Work

LEDGER: Final = ".campaigns.db"
"""In the folder of the working stores, or that of the delivery, where no other ledger is named."""
_VERSION: Final = "s2dask"


class Campaign:
    """A bulk processing of an archive, which a ledger remembers.

    Parameters
    ----------
    name : str
    source : str
        Folder or fsspec URL: CADU sessions, L1B and L1C products in SAFE form, at any depth.
    deliver : str
        Delivery folder, local or ``s3://bucket/prefix``.
    work : str, optional
        Local folder of the working stores, seen by all workers; default: ``.work`` of a local delivery folder.
    unit : str or sequence of str, optional
        ``S2A`` …; default: all.
    orbits : sequence of int
        Relative (up to 143) or absolute.
    tiles : sequence of str
    aoi : (west, south, east, north) [deg] or WKT, optional
        In the place of `tiles`: those that it touches.
    period : (str or datetime, str or datetime), optional
        Sensed from, and before [UTC].
    levels : sequence of str
    baseline : str
        The one that this version makes; a campaign keeps to it.
    aux : str, optional
        Folder of auxiliary files; default: that beside each session.
    gipps : str, optional
        Folder of GIPPs in the place of that among the auxiliary files.
    keep : bool
        Keep the working stores, of which a fork makes what it changes; else they go with the end of each session.
    ledger : str, optional
        File or URL; default: a file in the folder of the working stores, if that is given, or of the delivery.
    costs : CostModel, optional
        Of `s2dask.graph.cost_history.calibrated_costs`.
    **options
        The other attributes of `s2dask.production.order.Order`: ``corrections``, ``jp2_profile``, ``window`` …
    """

    works: Mapping[str, Work] = CAMPAIGN_WORKS
    """What runs the units of each kind."""

    def __init__(
        self, name: str, *, source: str, deliver: str = "products", unit: str | Sequence[str] | None = None,
        orbits: Sequence[int] = (), tiles: Sequence[str] = (), aoi: str | Sequence[float] | None = None,
        period: tuple[str | datetime, str | datetime] | None = None, levels: Sequence[str] = ("L1C", "L2A"),
        baseline: str = THIS_BASELINE, aux: str | None = None, gipps: str | None = None, keep: bool = True,
        ledger: str | None = None, costs: CostModel | None = None, work: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        units = (unit,) if isinstance(unit, str) else tuple(unit or ())
        area = aoi if isinstance(aoi, str) or aoi is None else tuple(float(v) for v in aoi)
        dates = None if period is None else (str(period[0]), str(period[1]))
        self.request = Request(
            name=name, source=source, deliver=deliver, work=work, unit=units, orbits=tuple(orbits), tiles=tuple(tiles),
            aoi=area, period=dates, levels=tuple(levels), baseline=baseline, aux=aux, gipps=gipps, keep=keep,
            options=options,
        )  # fmt: skip
        self.url = str(self.request.home / LEDGER) if ledger is None else ledger
        self._costs = costs
        self._planned: CampaignPlan | None = None
        self._book: Ledger | None = None
        self._service: Service | None = None

    @classmethod
    def of(cls, request: Request, ledger: str, costs: CostModel | None = None) -> Self:
        """Return the campaign of a request."""
        campaign = cls(
            request.name, source=request.source, deliver=request.deliver, work=request.work, ledger=ledger, costs=costs
        )  # fmt: skip
        campaign.request = request
        return campaign

    @classmethod
    def open(cls, name: str, ledger: str, costs: CostModel | None = None) -> Self:
        """Find a campaign again, after whatever has died.

        Parameters
        ----------
        name : str
        ledger : str
            File or URL.
        costs : CostModel, optional

        Raises
        ------
        ConfigurationError
            Where there is none, or it was begun with another version or baseline.
        """
        with Ledger.open(ledger) as found:
            told = dict(found.report(name)["request"]) if name in found.runs() else {}
        version = told.pop(_VERSION, None)
        if version is None:
            raise ConfigurationError("no such campaign", f"{ledger} {name}", "see `s2dask ledger URL`")
        if version != __version__:
            remedy = f"install s2dask {version}, or fork the campaign"
            raise ConfigurationError(f"begun with s2dask {version}, this is {__version__}", name, remedy)
        return cls.of(Request.of(told), ledger, costs)

    @property
    def name(self) -> str:
        """Its name."""
        return self.request.name

    @property
    def book(self) -> Ledger:
        """The ledger that remembers it."""
        if self._book is None:
            if "://" not in self.url:
                Path(self.url).parent.mkdir(parents=True, exist_ok=True)
            self._book = Ledger.open(self.url, retry=RETRY)
        return self._book

    def runs(self) -> list[str]:
        """Return the names of its runs in the ledger, one of each session."""
        return [run for run in self.book.runs() if run.startswith(f"{self.name}/")]

    def plan(self, *, again: bool = False) -> CampaignPlan:
        """Return what it will make and cost; nothing is decoded or delivered.

        Parameters
        ----------
        again : bool
            Look into the archive once more.
        """
        if self._planned is None or again:
            self._planned = plan_campaign(self.request, self._costs)
        return self._planned

    def submit(
        self, client: Client, priority: int = REPROCESSING, max_cores: int | None = None, *, abreast: int = ABREAST,
        lease: float = LEASE, listener: Listener | None = None,
    ) -> Self:  # fmt: skip
        """Put every session into the ledger, once each, and run them in the background.

        Parameters
        ----------
        client : Client
            Of the cluster that works.
        priority : int
            The larger goes first, here and on the cluster; nominal production has 100.
        max_cores : int, optional
            Of the cluster; default: all.
        abreast : int
            Sessions that are worked on at a time, which bounds what lies on the disk.
        lease : float
            How long a unit of a service that died is waited for [s].
        listener : Listener, optional
            Hears of every task.

        Raises
        ------
        ConfigurationError
            For another version, baseline or set of GIPPs than the campaign began with, and where another campaign works
            in the same stores.
        """
        planned = self.plan(again=self._planned is not None and bool(self.runs())).planned
        check_alone(self.book, self.name, [run_of(self.request, p) for p in planned])
        self.book.open_run(
            self.name, request={**self.request.spec(), _VERSION: __version__}, baseline=self.request.baseline
        )
        known = set(self.book.runs())
        for p in planned:
            run = run_of(self.request, p)
            told = {} if run in known else told_of(self.request, p)
            self.book.open_run(run, request=told, baseline=self.request.baseline, gipps=checksums(p.frozen))
            self.book.add(run, needed(self.book, [root_of(self.request, p, priority)]))
        self._start(client, max_cores, abreast, lease, listener)
        return self

    def _start(
        self, client: Client, max_cores: int | None = None, abreast: int = ABREAST, lease: float = LEASE,
        listener: Listener | None = None,
    ) -> None:  # fmt: skip
        if self._service is not None and self._service.alive:
            self._service.look()
            return
        self._service = Service(self.url, self.request, self.works, self._done())
        self._service.start(client, max_cores, abreast, lease, listener)

    @property
    def active(self) -> bool:
        """Whether this process works on it."""
        return self._service is not None and self._service.alive

    def wait(self, timeout: float | None = None) -> Progress:
        """Wait until nothing more will happen by itself, or for so long [s], and return where it is.

        Raises
        ------
        BaseException
            What the dispatcher failed of; single units that fail stand in `ledger`.
        """
        if self._service is not None:
            self._service.join(timeout)
        return self.progress()

    def _steer(self, control: str) -> None:
        acts = {RUNNING: self.book.resume, PAUSED: self.book.pause, STOPPED: self.book.stop, ABORTED: self.book.abort}
        for run in self.runs():
            if self.book.control(run) != ABORTED and not self.book.pending(run).over:
                acts[control](run)

    def pause(self) -> None:
        """Begin no unit until it is resumed; those that run end."""
        self._steer(PAUSED)

    def resume(self, client: Client | None = None, max_cores: int | None = None, **how: Any) -> Self:
        """Go on: after a pause, a stop, or the death of the process that had submitted it.

        Parameters
        ----------
        client : Client, optional
            Needed where this process does not work on it.
        max_cores : int, optional
        **how
            The other parameters of `submit`.

        Raises
        ------
        ConfigurationError
            For other GIPPs than it began with.
        """
        check_frozen(self.book, self.request, self.runs())
        self._steer(RUNNING)
        if client is not None:
            self._start(client, max_cores, **how)
        return self

    def restart(self, client: Client | None = None, **how: Any) -> Self:
        """Make ready again what failed, was parked, refused or aborted, and go on."""
        for run in self.runs():
            self.book.restart(run)
        return self.resume(client, **how)

    def stop(self) -> None:
        """End it: what is under way is finished, nothing more is begun."""
        self._steer(STOPPED)

    def abort(self) -> None:
        """End it at once: what is under way is lost."""
        self._steer(ABORTED)

    def _done(self) -> float:
        return sum(core_seconds(self.book, run) for run in self.runs())

    def progress(self) -> Progress:
        """Return where it is; a notebook and `rich` show it as a table."""
        states: Counter[str] = Counter()
        units: dict[str, Counter[str]] = {}
        done = expected = left = 0.0
        under_way = []
        for run in self.runs():
            told = self.book.report(run)
            states[told["state"]] += 1
            for kind, counts in self.book.progress(run).items():
                units.setdefault(kind, Counter()).update(counts)
            planned = float(told["request"].get("core_seconds", 0.0))
            done += core_seconds(self.book, run)
            expected += planned
            if told["state"] in (RUNNING, PAUSED):
                left += max(planned - told["core_seconds"], 0.0)
                under_way += [run.partition("/")[2]] if told["units"]["finished"] else []
        counted = {kind: dict(found) for kind, found in units.items()}
        return Progress(
            self.name, _state(states), dict(states), counted, done, expected, self._eta(done, left), tuple(under_way)
        )

    def _eta(self, done: float, left: float) -> float | None:
        if not left:
            return 0.0
        pace = 0.0 if self._service is None else self._service.pace(done)
        return left / pace if pace > 0.0 else None

    def ledger(self) -> Account:
        """Return what was expected of every datastrip and tile, what came of it with its hash, and why there are gaps.

        In a session that is run no more, every gap has its reason. ``.table()`` gives it as mappings, ``.sheet()`` as a
        document for `s2dask.qc.sheet.html`.
        """
        return account_of(self.book, self.name, self.runs(), self.request.baseline)

    def fork(self, name: str, *, ledger: str | None = None, **changes: Any) -> Self:
        """Return a campaign that differs in something; run after this one, it makes only what that changes.

        Parameters
        ----------
        name : str
        ledger : str, optional
            Default: that of this campaign, which knows what is made already.
        **changes
            ``baseline``, ``gipps``, ``aux``, ``tiles``, ``levels`` …, or options of the order: ``corrections`` …

        Raises
        ------
        ConfigurationError
            For a baseline that this version does not make, and another delivery folder: the stores are there.
        """
        if {"deliver", "work"} & changes.keys():
            remedy = "leave it out: products have names of their own"
            raise ConfigurationError("a fork works in the stores of its campaign", name, remedy)
        request = self.request.changed(name, changes)
        return self.of(request, ledger or self.url, self._costs)

    def __repr__(self) -> str:
        return f"<Campaign {self.name} of {self.request.source} to {self.request.to}, ledger {self.url}>"


def _state(sessions: Mapping[str, int]) -> str:
    """Return the state of a campaign from those of its sessions."""
    for state in (RUNNING, PAUSED, STOPPED, ABORTED, "FAILED"):
        if sessions.get(state):
            return state
    return "SUCCESS" if sessions else "PLANNED"
