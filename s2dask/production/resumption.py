"""A run that was killed, or whose end nobody heard of, is gone on with under its name in the ledger.

It is, as long as what it was made from is the same and all that it had finished stands; else a new run is begun.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s2dask import __version__
from s2dask.graph.unit import Unit
from s2dask.io.storage import exists, filesystem, is_local
from s2dask.production.ledger import FAILED, FINISHED, RUNNING, Ledger
from s2dask.production.order import Order
from s2dask.production.standing import those_standing


def stamp(order: Order) -> str:
    """Return a digest of what a run is made from: names, sizes and dates of all files of source, aux and checklists."""
    local = [] if order.aux is None else [order.aux]
    places = [order.source, *local, *([] if order.checklists is None else [order.checklists])]
    told: list[Any] = [__version__]
    for place in places:
        fs, path = filesystem(place)
        found = fs.find(path, detail=True) if fs.isdir(path) else {path: fs.info(path)}
        for name, facts in sorted(found.items()):
            when = Path(name).stat().st_mtime_ns if is_local(place) else str(facts.get("ETag", ""))
            told.append((name, facts.get("size"), when))
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _same(spec: dict[str, Any], root: Unit) -> bool:
    asked = {key: value for key, value in spec.items() if key != "created"}
    return json.dumps(asked, sort_keys=True) == json.dumps(dict(root.spec), sort_keys=True)


def _all_stands(ledger: Ledger, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether what finished units have left is there."""
    named = [row for row in rows if row["identity"]]
    units = [Unit(name=r["name"], kind=r["kind"], spec=r["spec"], identity=r["identity"]) for r in named]
    bare = (url for row in rows if not row["identity"] for url in row["value"]["stores"].values())
    return all(exists(url) for url in bare) and len(those_standing(ledger, units)) == len(units)


def same_run(ledger: Ledger, root: Unit, begins: str) -> str | None:
    """Return the run that does the same, of which nothing failed and all that was made stands; None if there is none.

    Parameters
    ----------
    ledger : Ledger
    root : Unit
        First unit of the run; its spec says what is asked (`Order.spec`) and of what (`stamp`).
    begins : str
        With which the names of such runs begin.
    """
    for run in reversed(ledger.runs()):
        if not run.startswith(begins) or ledger.control(run) != RUNNING:
            continue
        first = ledger.units(run, kinds={root.kind})
        if first and _same(first[0]["spec"], root):
            rows = ledger.units(run)
            failed = any(row["state"] in FAILED for row in rows)
            finished = [row for row in rows if row["state"] in FINISHED]
            return run if not failed and _all_stands(ledger, finished) else None
    return None
