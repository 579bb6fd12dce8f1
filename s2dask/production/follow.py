"""Waiting for a session that still arrives: look at it again and again, and decode what came."""

import time
from typing import Any, Final

from s2dask.errors import InputError, InputMissing, S2Error
from s2dask.l0.dsib import FETCH
from s2dask.l0.session import SessionState
from s2dask.production.arrival import Arrival

POLL: Final = 1.0
"""Between two looks [s]."""
_NAMED: Final = 8


def _mark(state: SessionState | None, problem: S2Error | None) -> Any:
    """Return what changes when anything comes: whole files, growing ones, DSIBs."""
    if state is None:
        return str(problem)
    return tuple(b.key for b in state.blocks), sorted(state.dsibs), state.damaged, state.unannounced, str(problem)


def _look(arrival: Arrival) -> S2Error | None:
    """Look once and decode what came; return what is wrong with what is there so far, which may still mend."""
    try:
        arrival.look()
    except (InputError, InputMissing) as error:
        return error
    arrival.decode()
    return None


def _settled(arrival: Arrival) -> bool:
    """Tell whether all is there and decoded, and nothing has changed meanwhile."""
    if arrival.state is None or not arrival.state.whole:
        return False
    arrival.settle()
    return not arrival.look()


def follow(arrival: Arrival, seconds: float, *, allow_gaps: bool = False, poll: float = POLL) -> None:
    """Wait until a session is whole, and decode its files as they come.

    Parameters
    ----------
    arrival : Arrival
        Nothing of the session needs to be there yet.
    seconds : float
        Give up after so long without anything new [s].
    allow_gaps : bool
        Return then, instead of raising, if anything of the session is there.
    poll : float
        Between two looks [s].

    Raises
    ------
    InputMissing
        Naming what did not come.
    InputError
        When what is there stays damaged, or is of another session.
    """
    seen, since = None, time.monotonic()
    while True:
        problem = _look(arrival)
        if problem is None and _settled(arrival):
            return
        mark = _mark(arrival.state, problem)
        if mark != seen:
            seen, since = mark, time.monotonic()
        elif time.monotonic() - since >= seconds:
            break
        if arrival.runner.stopped.wait(min(poll, seconds)):
            raise InputMissing("the wait was given up", arrival.folder, "run it again")
    if problem is not None:
        raise problem
    lacking = arrival.state.lacking if arrival.state else ()
    if lacking and not allow_gaps:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        what = f"nothing new for {seconds:g} s, and these did not come: {', '.join(lacking[:_NAMED])}{more}"
        raise InputMissing(what, arrival.folder, f"{FETCH}, or allow gaps")
