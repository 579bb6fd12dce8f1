"""Tickets: an alarm of a control chart as a document beside the indicators, opened once, with its evidence."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from s2dask.errors import InputError
from s2dask.io.storage import exists, filesystem
from s2dask.qc.store import put
from s2dask.qc.trend import Alarm


def _url(store: str, ticket: str) -> str:
    return f"{store.rstrip('/')}/tickets/{ticket}.json"


def open_tickets(store: str, alarms: Iterable[Alarm], until: str = "", baseline: str = "") -> list[str]:
    """Open a ticket for each alarm that has none yet, and return the new ones.

    Parameters
    ----------
    store : str
        Folder or URL of the indicators.
    alarms : iterable of Alarm
    until, baseline : str
        Of the command that makes the chart again (`s2dask.qc.trend.follow`).

    Notes
    -----
    A ticket that is there stays as people left it: a chart made again never reopens it.
    """
    opened = []
    for alarm in alarms:
        url = _url(store, alarm.ticket)
        if exists(url):
            continue
        told = {"state": "open", **asdict(alarm), "command": alarm.key.command(store, until, baseline)}
        put(url, (json.dumps(told, indent=2, allow_nan=False) + "\n").encode())
        opened.append(url)
    return opened


def read_tickets(store: str) -> list[dict[str, Any]]:
    """Return the tickets of a store, the oldest first."""
    fs, root = filesystem(store)
    tickets = []
    for path in sorted(fs.glob(f"{root.rstrip('/')}/tickets/*.json")):
        try:
            tickets.append(dict(json.loads(fs.cat_file(path))))
        except ValueError as error:
            raise InputError(
                f"not a ticket ({error})", path, "mend the file, or remove it and make the chart again"
            ) from error
    return sorted(tickets, key=lambda ticket: (str(ticket.get("opened")), str(ticket.get("ticket"))))
