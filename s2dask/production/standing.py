"""What need not be made again: units whose outputs stand, and what only those would have needed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from s2dask.graph.unit import Unit
from s2dask.io.object_store import patiently
from s2dask.io.storage import exists
from s2dask.production.ledger import Ledger, Result
from s2dask.production.marks import marked

_STORES: Mapping[str, str] = {"L0": "l0", "L1A": "images", "L1B": "images", "L1C": "l1c"}
"""Which store of its spec the units of a kind write, together or one after the other."""


def standing(ledger: Ledger, unit: Unit) -> Result | None:
    """Return what a unit of this identity has made, if it still stands; None if it is to be made.

    Of a unit that writes into a store with others it stands when the store bears its mark; of one that delivers, when
    all that it delivered is there.
    """
    found = ledger.finished(unit.identity) if unit.identity else None
    return found if found is not None and _stands(unit, found.value) else None


def those_standing(ledger: Ledger, units: Collection[Unit]) -> set[str]:
    """Return the names of the units whose outputs stand, with one question to the ledger."""
    told = ledger.finished_values({unit.identity for unit in units})
    return {unit.name for unit in units if unit.identity in told and _stands(unit, told[unit.identity])}


def _stands(unit: Unit, told: Mapping[str, Any]) -> bool:
    """Return whether the outputs are there of a unit of the same identity that has told this."""
    store = _STORES.get(unit.kind)
    if store is not None:
        return marked(str(unit.spec[store]), unit.name) == unit.identity
    stores = told["stores"].values() if unit.kind == "STRIP" else ()
    return all(patiently(partial(exists, url), url) for url in (*told["products"], *stores))


def needed(ledger: Ledger, units: Sequence[Unit]) -> list[Unit]:
    """Return the units of a plan to be added to a run: without those that only finished ones would have needed.

    Parameters
    ----------
    ledger : Ledger
    units : sequence of Unit
        Whole: what they wait for is among them, or there already.

    Returns
    -------
    list of Unit
        In their order; each says when its products are made, which is settled the first time that its identity is seen.
    """
    known = {unit.name: unit for unit in units}
    identities = {unit.identity for unit in units}
    done = those_standing(ledger, units)
    awaited = {name for unit in units for name in unit.after}
    open_ends = [unit.name for unit in units if unit.name not in awaited and unit.name not in done]
    wanted = set(open_ends)
    while open_ends:
        fresh = {name for name in known[open_ends.pop()].after if name in known} - wanted
        wanted |= fresh
        open_ends.extend(fresh - done)
    kept, first, now = wanted | done, ledger.planned(identities), datetime.now(UTC)
    moment = now.replace(microsecond=now.microsecond // 1000 * 1000).isoformat()

    def settled(unit: Unit) -> Unit:
        after = tuple(name for name in unit.after if name in kept or name not in known)
        created = first.get(unit.identity, {}).get("created", moment)
        return replace(unit, after=after, spec={**unit.spec, "created": created})

    return [settled(unit) for unit in units if unit.name in kept]
