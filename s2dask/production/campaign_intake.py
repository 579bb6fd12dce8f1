"""How the sources of a campaign come into the ledger: a run each, with what is expected of it and what is frozen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from s2dask.errors import ConfigurationError
from s2dask.graph.unit import Unit
from s2dask.production.campaign_aux import checksums, freeze
from s2dask.production.campaign_plan import Planned
from s2dask.production.campaign_request import THIS_BASELINE, Request
from s2dask.production.campaign_work import TERMS
from s2dask.production.ledger import PAUSED, RUNNING, Ledger
from s2dask.production.order import Order
from s2dask.production.tile_work import import_unit, l1c_unit
from s2dask.production.unit_cost import priced_root
from s2dask.production.unit_table import session_unit


def run_of(request: Request, planned: Planned) -> str:
    """Return the name of the run of a source: that of the campaign, and of its folder of working stores."""
    return f"{request.name}/{request.order(planned.source.url).work.name}"


def told_of(request: Request, planned: Planned) -> dict[str, Any]:
    """Return what the ledger keeps of a run: what is expected of it, and of when its GIPPs are."""
    strips = planned.made.source.strips if planned.made is not None else ()
    expected = [[t for t in planned.tiles if t in strip.tiles] for strip in strips] or [list(planned.tiles)]
    return {
        "campaign": request.name, "source": planned.source.url, "kind": planned.source.kind, "to": request.to,
        "expected": expected if planned.made is not None else [], "unit": planned.source.unit,
        "core_seconds": planned.facts()["core_seconds"], "problem": planned.problem,
        "sensing": [[date.isoformat() for date in one.sensing] for one in planned.frozen],
    }  # fmt: skip


def root_of(request: Request, planned: Planned, priority: int) -> Unit:
    """Return the first unit of a run: it calls for the others."""
    order, wanted = request.order(planned.source.url), request.wanted()
    unit = priced_root(_bare_root(planned, order), order)
    terms = {
        "tiles": None if wanted is None else sorted(wanted), "gipps": sorted({one.id for one in planned.frozen}),
    }  # fmt: skip
    return replace(unit, priority=priority, spec={**unit.spec, TERMS: terms})


def _bare_root(planned: Planned, order: Order) -> Unit:
    if planned.source.kind == "session":
        return session_unit(shared={"order": order.spec()})
    return import_unit(order) if planned.source.kind == "l1b" else l1c_unit(order)


def check_alone(ledger: Ledger, campaign: str, mine: Sequence[str]) -> None:
    """Refuse to work in the stores of a session while another campaign does.

    Raises
    ------
    ConfigurationError
    """
    folders = {run.partition("/")[2] for run in mine}
    for run in ledger.runs():
        other, _, folder = run.partition("/")
        if other == campaign or folder not in folders:
            continue
        if ledger.control(run) in (RUNNING, PAUSED) and not ledger.pending(run).over:
            remedy = f"wait for campaign {other}, or stop it"
            raise ConfigurationError(f"campaign {other} is at work on {folder}", campaign, remedy)


def check_frozen(ledger: Ledger, request: Request, runs: Sequence[str]) -> None:
    """Refuse to go on with other GIPPs than those that the runs began with.

    Raises
    ------
    ConfigurationError
    """
    for run in runs:
        if ledger.pending(run).over:
            continue
        told = ledger.report(run)["request"]
        source, unit = str(told["source"]), str(told["unit"])
        if not told["sensing"]:
            continue
        request.prepare(source)
        aux = request.order(source).aux_folder()
        dates = [tuple(datetime.fromisoformat(date) for date in pair) for pair in told["sensing"]]
        found = checksums(freeze(aux, unit, (first, last)) for first, last in dates)
        ledger.open_run(run, baseline=THIS_BASELINE, gipps=found)
