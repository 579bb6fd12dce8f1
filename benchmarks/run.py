"""Run every benchmark, each in a process of its own on one core, and add the figures to the history.

python benchmarks/run.py [NAME ...]
"""

import ast
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
HISTORY = FOLDER / "history.jsonl"
WORSE = 0.05
"""A ratio that fell by more than this explains itself in the change that made it fall."""
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


def _before(cpu: str) -> dict[tuple[str, str, str], float]:
    """Return the last ratios that this kind of CPU gave, by benchmark, case and peer."""
    last = {}
    for line in HISTORY.read_text("utf-8").splitlines() if HISTORY.exists() else ():
        record = json.loads(line)
        if record["cpu"] == cpu:
            for name, cases in record["benchmarks"].items():
                for case in cases:
                    last.update({(name, case["title"], peer): ratio for peer, ratio in case["ratio"].items()})
    return last


def table(results: dict[str, list[dict[str, Any]]], before: dict[tuple[str, str, str], float]) -> str:
    """Return the ratios as text, each with its change against the last record."""
    lines = [f"{'benchmark':12s} {'case':32s} {'ours against':18s} {'ratio':>8s} {'change':>8s}"]
    for name, cases in results.items():
        for case in cases:
            for peer, ratio in case["ratio"].items():
                old = before.get((name, case["title"], peer))
                change = "" if old is None else f"{100 * (ratio / old - 1):+7.1f}%"
                mark = "  worse" if old is not None and ratio < old * (1 - WORSE) else ""
                lines.append(f"{name:12s} {case['title']:32s} {peer:18s} {ratio:8.2f} {change:>8s}{mark}")
    return "\n".join(lines)


def main() -> None:
    """Run, print the table, append the record; the exit code is 1 when a benchmark failed."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    results = {script.stem: measure(script) for script in benchmarks(sys.argv[1:])}
    cpu = _cpu()
    print(table(results, _before(cpu)))
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "python": platform.python_version(),
        "cpu": cpu,
        "benchmarks": {name: cases for name, cases in results.items() if cases},
    }
    with HISTORY.open("a", encoding="utf-8") as history:
        history.write(json.dumps(record) + "\n")
    if failed := [name for name, cases in results.items() if not cases]:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
