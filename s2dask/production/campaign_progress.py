"""Where a campaign is: units by kind and state, what is spent and what is still to come, and when it will be done."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from s2dask.production.campaign_page import duration, table_html
from s2dask.production.ledger import ABORTED, DEAD, DONE, PARKED, REFUSED, REUSED, RUNNING, WAITING

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS: Final = (DONE, REUSED, RUNNING, WAITING, PARKED, REFUSED, DEAD, ABORTED)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign is.

    Attributes
    ----------
    campaign : str
    state : str
        RUNNING, PAUSED, STOPPED, ABORTED, SUCCESS or FAILED.
    sessions : mapping of str to int
        By state.
    units : mapping of str to mapping of str to int
        By kind and state, as far as they are known: a session calls for its units when it is decoded.
    done, expected : float
        Core seconds [s].
    eta : float or None
        Seconds to go at the pace of this process; None: nothing was measured yet.
    under_way : tuple of str
        Sessions that are worked on.
    """

    campaign: str
    state: str
    sessions: Mapping[str, int]
    units: Mapping[str, Mapping[str, int]]
    done: float
    expected: float
    eta: float | None
    under_way: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of the expected core seconds that is done [1]."""
        return min(self.done / self.expected, 1.0) if self.expected > 0 else 0.0

    def headline(self) -> str:
        """Return the whole in a sentence."""
        there = ", ".join(f"{n} {state.lower()}" for state, n in self.sessions.items())
        eta = "" if self.eta is None else f", {duration(self.eta)} to go"
        spent = f"{self.done:,.0f} of some {self.expected:,.0f} core seconds"
        return f"{self.campaign}: {self.state}, sessions: {there or 'none'}; {spent}{eta}"

    def rows(self) -> list[tuple[str, ...]]:
        """Return the units by kind and state, the last row of all."""
        whole: Counter[str] = Counter()
        out = []
        for kind, states in self.units.items():
            whole.update(states)
            out.append((kind, *(str(states.get(column, 0)) for column in _COLUMNS)))
        return [*out, ("all", *(str(whole[column]) for column in _COLUMNS))]

    def table(self) -> "Table":
        """Return it for the terminal."""
        from rich.table import Table

        out = Table(title=self.headline(), title_justify="left")
        for name in ("kind", *(column.lower() for column in _COLUMNS)):
            out.add_column(name, justify="left" if name == "kind" else "right")
        for row in self.rows():
            out.add_row(*row)
        return out

    def __rich__(self) -> "Table":
        """Return it for the terminal."""
        return self.table()

    def _repr_html_(self) -> str:
        header = ("kind", *(column.lower() for column in _COLUMNS))
        return f"<p>{self.headline()}</p>{table_html(header, self.rows())}"
