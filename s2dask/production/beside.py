"""A campaign beside nominal production: the cores on which both keep their promises, both simulated together."""

from dataclasses import dataclass, replace
from typing import Final

from s2dask.graph.unit import NOMINAL, REPROCESSING
from s2dask.production.forecast import MOST, PROMISES, Forecast, simulate_plan
from s2dask.production.plan import Plan, PlannedUnit

ORBIT: Final = 100.7 * 60.0
"""Between two sessions of a satellite [s]: 143 orbits in ten days."""
RATE: Final = 5
"""Sessions that a campaign makes while one is acquired."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Nominal production and a campaign on the same workers.

    Attributes
    ----------
    workers : int
    nominal, campaign : float
        When the nominal session, and the last of the campaign, is done after the last input of the nominal one [s].
    rate : float
        Sessions of the campaign in the time of an orbit.
    kept : bool
        Whether the nominal promise is kept, and the rate that was asked for reached.
    """

    workers: int
    nominal: float
    campaign: float
    rate: float
    kept: bool


def _renamed(planned: PlannedUnit, number: int) -> PlannedUnit:
    unit, mark = planned.unit, f"campaign-{number}/"
    after = tuple(mark + name for name in unit.after)
    return replace(planned, unit=replace(unit, name=mark + unit.name, after=after, priority=REPROCESSING))


def together(made: Plan, sessions: int) -> Plan:
    """Return the plan of a nominal session with as many sessions of a campaign as large as it beside it.

    Parameters
    ----------
    made : Plan
        Of a session.
    sessions : int
    """
    nominal = (replace(p, unit=replace(p.unit, priority=NOMINAL)) for p in made.units)
    others = (_renamed(planned, k) for k in range(1, sessions + 1) for planned in made.units)
    return replace(made, units=(*nominal, *others))


def beside(made: Plan, workers: int, *, reception: float, sessions: int = RATE, pace: float = 1.0) -> Beside:
    """Simulate a nominal session and a campaign that goes on meanwhile.

    Parameters
    ----------
    made : Plan
        Of a session to Level-1C or 2A.
    workers : int
    reception : float
        How long the nominal session is received [s]; those of the campaign are there.
    sessions : int
        Of the campaign, in the time of an orbit.
    pace : float
        As of `simulate_plan`.
    """
    done: Forecast = simulate_plan(together(made, sessions), workers, reception=reception, pace=pace)
    own = {planned.unit.name for planned in made.units}
    nominal = max(moment for name, moment in done.finish.items() if name in own)
    campaign = max(moment for name, moment in done.finish.items() if name not in own)
    rate = sessions * ORBIT / (campaign - done.begun)
    return Beside(workers, nominal, campaign, rate, nominal <= PROMISES[made.to] and rate >= sessions)


def cores_beside(made: Plan, *, reception: float, sessions: int = RATE, pace: float = 1.0) -> Beside | None:
    """Return the run on the fewest workers on which a campaign goes on beside a nominal session; None: no number does.

    Parameters
    ----------
    made, reception, sessions, pace
        As of `beside`.
    """
    low, high = 0, max(int(0.8 * (sessions + 1) * made.estimate.seconds * pace / ORBIT), 1)
    found = {high: beside(made, high, reception=reception, sessions=sessions, pace=pace)}
    while not found[high].kept:
        low, high = high, 2 * high
        if high > 2 * MOST:
            return None
        found[high] = beside(made, high, reception=reception, sessions=sessions, pace=pace)
    while high - low > 1:
        middle = (low + high) // 2
        found[middle] = beside(made, middle, reception=reception, sessions=sessions, pace=pace)
        low, high = (low, middle) if found[middle].kept else (middle, high)
    return found[high]
