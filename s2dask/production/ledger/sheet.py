"""The page of a run: expected and produced, the reason of each gap, the hash of each product."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s2dask.qc.sheet import Block, Command, Grid, Heading, Paragraph, Sheet, html

_TONES = {"SUCCESS": "plain", "RUNNING": "quiet", "PAUSED": "quiet"}


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds:.1f} s"


def sheet(report: Mapping[str, Any], where: str = "LEDGER") -> Sheet:
    """Return the sheet of a run.

    Parameters
    ----------
    report : mapping
        `Ledger.report`.
    where : str
        Address of the ledger, for the commands on the page.
    """
    units = report["units"]
    summary = f"{report['state']}: {units['finished']} of {units['expected']} units, {len(report['products'])} products"
    blocks: list[Block] = [
        Paragraph(summary, _TONES.get(report["state"], "alarm")),
        Command(f"s2dask ledger {where} report {report['run']} --html PAGE"),
        Heading("Expected and finished"),
        Grid(
            ("Kind", "Expected", "Finished", "Dead", "Planned core time"),
            [
                (k["kind"], str(k["expected"]), str(k["finished"]), str(k["dead"]), _hours(k["cost"]))
                for k in report["kinds"]
            ],
        ),
        Grid(
            ("Datastrip", "Units", "Finished", "Core hours"),
            [
                (d["datastrip"], str(d["units"]), str(d["finished"]), f"{d['core_hours']:.3f}")
                for d in report["datastrips"]
            ],
        ),
        *(Paragraph(f"As expected: {why}.", "quiet") for why in report["expected"]),
        *_gaps(report, where),
        *_products(report["products"], report["superseded"]),
        *_effort(report),
        *_baseline(report),
    ]
    span = f"opened {report['created']}, first unit {report['begun']}, last {report['ended']}, as of {report['told']}"
    return Sheet(f"Run {report['run']}", span, blocks)


def _gaps(report: Mapping[str, Any], where: str) -> list[Block]:
    if not report["gaps"]:
        return [Heading("Gaps"), Paragraph("None: every unit is finished.", "quiet")]
    rows = [(g["unit"], g["state"], g["since"], g["reason"], g["bundle"]) for g in report["gaps"]]
    again = Command(f"s2dask ledger {where} restart {report['run']}")
    grid = Grid(("Unit", "State", "Since", "Reason", "Bundle"), rows, words=5, weights=(2, 1, 2, 5, 2))
    return [Heading("Gaps"), grid, again]


def _products(products: Sequence[Mapping[str, Any]], superseded: int) -> list[Block]:
    rows = [
        (p["name"], p["level"], p["tile"] or "-", p["state"], p["sha256"], p["baseline"], size(p["bytes"]))
        for p in products
    ]
    header = ("Product", "Level", "Tile", "State", "SHA-256 of its pixels", "Baseline", "Size")
    note = f"{superseded} products of earlier attempts were superseded by a restart."
    blocks: list[Block] = [Heading("Products"), Grid(header, rows, words=6, weights=(4, 1, 1, 1, 4, 1, 1))]
    return [*blocks, Paragraph(note, "quiet")] if superseded else blocks


def _effort(report: Mapping[str, Any]) -> list[Block]:
    attempts = ", ".join(f"{outcome.lower()} {n}" for outcome, n in sorted(report["attempts"].items())) or "none"
    rows = [
        ("Core time of what is finished", _hours(report["core_seconds"])),
        ("Core time saved: finished before", _hours(report["reused_core_seconds"])),
        ("Core time spent in vain", _hours(report["wasted_core_seconds"])),
        ("Read", size(report["bytes_in"])),
        ("Written", size(report["bytes_out"])),
        ("Largest memory of a worker", size(report["peak_bytes"])),
        ("Attempts by outcome", attempts),
    ]
    return [Heading("Effort"), Grid(("What", "Value"), rows)]


def _baseline(report: Mapping[str, Any]) -> list[Block]:
    if not report["baseline"] and not report["gipps"]:
        return []
    text = f"Processing baseline {report['baseline'] or 'not frozen'}; {len(report['gipps'])} GIPPs frozen."
    grid = Grid(("GIPP", "Checksum"), sorted(report["gipps"].items()), words=2)
    return [Heading("Baseline"), Paragraph(text), *([grid] if report["gipps"] else [])]


def write_sheet(report: Mapping[str, Any], path: str | Path, where: str = "LEDGER") -> None:
    """Write the page of a run as one HTML file."""
    Path(path).write_text(html(sheet(report, where)), "utf-8")
