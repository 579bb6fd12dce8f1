"""The account of a campaign: what was expected of every datastrip and tile, what came of it, and why there are gaps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from s2dask.production.campaign_page import table_html
from s2dask.production.ledger import DONE, FINISHED, Ledger
from s2dask.qc.sheet import Command, Grid, Heading, Paragraph, Sheet

PRODUCED: Final = "PRODUCED"
WITHHELD: Final = "WITHHELD"
MISSING: Final = "MISSING"
_SHOWN: Final = 2000
"""Rows of a page."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A product, or its absence.

    Attributes
    ----------
    session : str
    datastrip : int
        From 1 on; 0: not known, because its session was not cut.
    tile : str
        Empty: of the datastrip.
    level : str
    state : {"PRODUCED", "WITHHELD", "MISSING"}
    product, url, sha256, baseline : str
        Of a product.
    reason : str
        Of a gap.
    """

    session: str
    datastrip: int
    tile: str
    level: str
    state: str
    product: str = ""
    url: str = ""
    sha256: str = ""
    baseline: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Account:
    """What was expected of a campaign and what came of it.

    Attributes
    ----------
    campaign : str
    baseline : str
    entries : tuple of Entry
    core_seconds, wasted : float
        Of what is finished, and spent in vain [s].
    gipps : mapping of str to mapping
        Checksum of each GIPP by its type, by session.
    where : str
        Address of the ledger.
    """

    campaign: str
    baseline: str
    entries: tuple[Entry, ...]
    core_seconds: float
    wasted: float
    gipps: Mapping[str, Mapping[str, str]]
    where: str

    @property
    def expected(self) -> int:
        """Expected: one of each datastrip or tile and level, in whichever forms it is delivered."""
        return len({(e.session, e.datastrip, e.tile, e.level) for e in self.entries})

    @property
    def produced(self) -> int:
        """Of these, those that are there."""
        return len({(e.session, e.datastrip, e.tile, e.level) for e in self.entries if e.state == PRODUCED})

    @property
    def gaps(self) -> tuple[Entry, ...]:
        """Those that are not."""
        return tuple(e for e in self.entries if e.state != PRODUCED)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.gaps

    def table(self) -> list[dict[str, Any]]:
        """Return every product and every gap as a mapping."""
        return [asdict(e) for e in self.entries]

    def hashes(self) -> dict[str, str]:
        """Return the hash of the pixels of every product by session, datastrip, tile, level and form."""
        return {
            f"{e.session}/{e.datastrip}/{e.tile}/{e.level}/{e.product.rpartition('.')[2]}": e.sha256
            for e in self.entries if e.state == PRODUCED
        }  # fmt: skip

    def sheet(self) -> Sheet:
        """Return the account as a document."""
        head = f"{self.produced} of {self.expected} expected, {len(self.gaps)} gaps"
        blocks: list[Paragraph | Heading | Grid | Command] = [
            Paragraph(head, "plain" if self.complete else "alarm"),
            Paragraph(f"Baseline {self.baseline}; {self.core_seconds / 3600:.3f} core hours, "
                      f"{self.wasted / 3600:.3f} in vain", "quiet"),
            Command(f"s2dask campaign ledger {self.campaign} --ledger {self.where} --html PAGE"),
        ]  # fmt: skip
        if self.gaps:
            rows = [(e.session, str(e.datastrip or "?"), e.tile or "-", e.level, e.state, e.reason) for e in self.gaps]
            header = ("Session", "Datastrip", "Tile", "Level", "State", "Reason")
            blocks += [Heading("Gaps"), Grid(header, rows[:_SHOWN], words=6, weights=(3, 1, 1, 1, 1, 6))]
        made = [e for e in self.entries if e.state == PRODUCED]
        products = [(e.session, e.tile or "-", e.level, e.product, e.sha256) for e in made[:_SHOWN]]
        names = ("Session", "Tile", "Level", "Product", "SHA-256 of its pixels")
        blocks += [Heading("Products"), Grid(names, products, words=5, weights=(2, 1, 1, 4, 4))]
        if len(made) > _SHOWN:
            blocks.append(Paragraph(f"and {len(made) - _SHOWN} more: --json tells all", "quiet"))
        return Sheet(f"Campaign {self.campaign}", f"ledger {self.where}", blocks)

    def _repr_html_(self) -> str:
        header = ("session", "tile", "level", "state", "product or reason", "SHA-256")
        rows = [
            (e.session, e.tile, e.level, e.state, e.product or e.reason, e.sha256[:12]) for e in self.entries[:_SHOWN]
        ]
        return f"<p>{self.produced} of {self.expected} expected</p>{table_html(header, rows)}"


def core_seconds(ledger: Ledger, run: str) -> float:
    """Return what the finished units of a run took that were made in it, not those that stood already [s]."""
    return float(sum(row["core_seconds"] for row in ledger.attempts(run) if row["outcome"] == DONE))


def _levels(to: str) -> tuple[str, ...]:
    return ("L1C", "L2A") if to == "L2A" else (to,)


def _expected(
    request: Mapping[str, Any], units: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[int, str, str, Mapping[str, Any] | None]]:
    """Yield datastrip, tile, level, and the unit that makes it (None: there is none yet)."""
    to, kind = str(request["to"]), str(request["kind"])
    levels = ("L2A",) if kind == "l1c" else _levels(to)
    made: dict[tuple[int, str, str], Mapping[str, Any]] = {}
    for unit in units:
        rank, spec = int(unit["spec"].get("strip", 0)) + 1, unit["spec"]
        if unit["kind"] in ("TILE", "L1C", "L2A"):
            own = {"L1C": ("L1C",), "L2A": ("L2A",)}.get(str(unit["kind"]), levels)
            made |= {(rank, str(spec["tile"]), level): unit for level in own}
        elif unit["kind"] == "STRIP" and to not in ("L1C", "L2A"):
            made[rank, "", to] = unit
    planned = {
        (rank + 1, str(tile), level)
        for rank, tiles in enumerate(request["expected"])
        for tile in (tiles if to in ("L1C", "L2A") else [""])
        for level in levels
    }
    if not made and not planned:
        yield 0, "", to, None
    for key in sorted(planned | set(made)):
        yield *key, made.get(key)


def _why(
    unit: Mapping[str, Any] | None, level: str, units: Sequence[Mapping[str, Any]], gaps: Mapping[str, str]
) -> tuple[str, str]:
    """Return the state of what is not there, and the reason."""
    if unit is not None and unit["state"] not in FINISHED:
        return MISSING, gaps[unit["name"]]
    asked = [unit] if unit is not None else []
    root = [u for u in units if u["kind"] in ("SESSION", "IMPORT")]
    if unit is None and root and root[0]["state"] not in FINISHED:
        return MISSING, gaps[root[0]["name"]]
    told = [
        str(reason)
        for u in [*asked, *(u for u in units if u["kind"] in ("SESSION", "STRIP"))]
        for reason in (u["value"] or {}).get("withheld", ())
    ]
    own = [reason for reason in told if level.lower() in reason.rpartition("/")[2].lower()] or told
    if own:
        return WITHHELD, own[0]
    unseen = [str(text) for u in units for text in (u["value"] or {}).get("unseen", ())]
    flags = [str(text) for u in root for text in (u["value"] or {}).get("flags", ())]
    return MISSING, (unseen or flags or ["the datastrip does not call for it"])[0]


def _whole(reason: str, what: str) -> str:
    """Return the reason of a gap with what was wrong, where it only tells what is awaited."""
    return reason if what in reason else f"{reason}: {what}"


def entries_of(ledger: Ledger, run: str) -> tuple[list[Entry], dict[str, Any]]:
    """Return what was expected of a run and what came of it, and the report of the run."""
    told, units = ledger.report(run), ledger.units(run)
    request, session = told["request"], run.partition("/")[2]
    made: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for product in told["products"]:
        made.setdefault((product["unit"], product["level"]), []).append(product)
    errors = {unit["name"]: str(unit["error"]["what"]) for unit in units}
    gaps = {gap["unit"]: _whole(gap["reason"], errors[gap["root"]]) for gap in told["gaps"]}
    entries = []
    for strip, tile, level, unit in _expected(request, units):
        found = [] if unit is None else made.get((unit["name"], level), [])
        entries += [
            Entry(session, strip, tile, level, p["state"], p["name"], p["url"], p["sha256"], p["baseline"])
            for p in found
        ]  # fmt: skip
        if not found:
            state, reason = _why(unit, level, units, gaps)
            entries.append(Entry(session, strip, tile, level, state, reason=reason))
    return entries, told


def account_of(ledger: Ledger, campaign: str, runs: Sequence[str], baseline: str) -> Account:
    """Return the account of a campaign."""
    entries: list[Entry] = []
    spent = wasted = 0.0
    gipps: dict[str, Mapping[str, str]] = {}
    for run in runs:
        found, told = entries_of(ledger, run)
        entries += found
        spent += core_seconds(ledger, run)
        wasted += told["wasted_core_seconds"]
        gipps[run.partition("/")[2]] = told["gipps"]
    return Account(campaign, baseline, tuple(entries), spent, wasted, gipps, ledger.where)
