"""Run every benchmark, each in a process of its own on one core, and add the figures to the history.

    python benchmarks/run.py [--accept REASON] [NAME ...]

A ratio that fell by more than five percent, and more than its noise, against the last records of the same kind of
machine is measured again, twice at most. If it stays below, nothing is recorded and the exit code is 1; with a reason
the lower ratio is recorded, and is what later ones are compared with.
"""

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gate import Key, Reference, Results, better, ratios, records, references, regressions

FOLDER = Path(__file__).resolve().parent
HISTORY = FOLDER / "history.jsonl"
AGAIN = 2
"""Times that a benchmark whose ratio fell is measured again."""
ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GDAL_NUM_THREADS"), "1")


def _has_main(script: Path) -> bool:
    body = ast.parse(script.read_text("utf-8")).body
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in body)


def benchmarks(names: list[str]) -> list[Path]:
    """Return the scripts that have a `main`, this one excepted."""
    found = [path for path in sorted(FOLDER.glob("*.py")) if path != Path(__file__).resolve() and _has_main(path)]
    if unknown := sorted(set(names) - {path.stem for path in found}):
        raise SystemExit(f"no benchmark {', '.join(unknown)}: there are {', '.join(path.stem for path in found)}")
    return [path for path in found if not names or path.stem in names]


def measure(script: Path) -> list[dict[str, Any]]:
    """Run one script and return its cases, none if it failed."""
    print(f"== {script.stem}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        run = subprocess.run([sys.executable, script, figures], env=os.environ | ONE_THREAD, check=False)
        if run.returncode or not figures.exists():
            return []
        return [case for line in figures.read_text("utf-8").splitlines() for case in json.loads(line)["cases"]]


def _git(*arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    return run.stdout.strip()


def _cpu() -> str:
    facts = Path("/proc/cpuinfo")
    for line in facts.read_text("utf-8").splitlines() if facts.exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def table(results: Results, before: Mapping[Key, Reference]) -> str:
    """Return the ratios as text, each with its change against the last records."""
    lines = [f"{'benchmark':12s} {'case':32s} {'ours against':18s} {'ratio':>8s} {'change':>8s}"]
    failed = regressions(results, before)
    for key, ratio in ratios(results).items():
        change = f"{100 * (ratio / before[key].ratio - 1):+7.1f}%" if key in before else ""
        mark = f"  worse: at least {failed[key][1]:.3g}" if key in failed else ""
        lines.append(f"{key[0]:12s} {key[1]:32s} {key[2]:18s} {ratio:8.2f} {change:>8s}{mark}")
    return "\n".join(lines)


def settle(
    results: Results, before: Mapping[Key, Reference], repeat: Callable[[str], Sequence[Mapping[str, Any]]]
) -> Results:
    """Measure again what fell, and return the better results.

    Parameters
    ----------
    results : mapping
        Cases by benchmark.
    before : mapping of Key to Reference
    repeat : callable
        Runs the benchmark of a name and returns its cases.
    """
    for _ in range(AGAIN):
        fallen = sorted({name for name, _, _ in regressions(results, before)})
        if not fallen:
            break
        results = better(results, {name: repeat(name) for name in fallen})
    return results


def main() -> None:
    """Run, print the table, append the record; the exit code is 1 when a benchmark failed or a ratio fell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--accept", metavar="REASON", help="record ratios that fell, with the reason")
    parser.add_argument("names", nargs="*", metavar="NAME")
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    scripts = {script.stem: script for script in benchmarks(asked.names)}
    cpu = _cpu()
    before = references(records(HISTORY, cpu))
    results = settle({n: measure(s) for n, s in scripts.items()}, before, lambda name: measure(scripts[name]))
    print(table(results, before))
    fallen = sorted(regressions(results, before))
    if fallen and not asked.accept:
        raise SystemExit(f"{len(fallen)} ratios fell: mend it, or explain it in the change and with --accept")
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "python": platform.python_version(),
        "cpu": cpu,
        "benchmarks": {name: cases for name, cases in results.items() if cases},
    }
    if fallen:
        record["accepted"] = {"reason": asked.accept, "ratios": fallen}
    with HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(record) + "\n")
    if failed := [name for name, cases in results.items() if not cases]:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
