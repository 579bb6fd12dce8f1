"""What the ledger costs: units a second that are claimed and completed, against 1 % of a unit of ten core-seconds.

A session in its shape: packets moved, images made, the strip, its tiles, with their dependencies. Each unit is claimed
and completed alone, with a value, provenance and, for a tile, two products. SQLite is always measured, PostgreSQL where
its programs are installed, with the processor time of the server.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from reporting import Case, report

from s2dask.graph.unit import Cost, Unit, identity_of
from s2dask.production.ledger import Ledger, Product, Result

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from postgres_server import Postgres, absent

SIZES = (5_000, 20_000)
STRETCH, STRETCHES = 500, 4
"""Units of a stretch, and stretches at the beginning of a run that are measured; the dearest is told too."""
UNIT_SECONDS = 10.0
SHARE = 0.01
_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_GIPPS = {f"GIP_{i:02d}": f"{i:064x}" for i in range(45)}
_VERSIONS = {f"STEP_{i:02d}": "1" for i in range(20)}


def session(size: int) -> list[Unit]:
    """Return the units of a session: as many of L0 as of L1B, a strip for 240 of them, and tiles."""
    strips = max(1, size // 500)
    units = []
    for s in range(strips):
        groups = [f"D{d:02d}-G{g:03d}" for d in range(1, 13) for g in range(18)]
        units += [_unit(f"{s}-L0-{name}", "L0") for name in groups]
        units += [_unit(f"{s}-L1B-{name}", "L1B", f"{s}-L0-{name}") for name in groups]
        units.append(_unit(f"{s}-STRIP", "STRIP", *(f"{s}-L1B-{name}" for name in groups)))
        units += [_unit(f"{s}-TILE-{t:03d}", "TILE", f"{s}-STRIP") for t in range(500 - 2 * len(groups) - 1)]
    return units[:size]


def _unit(name: str, kind: str, *after: str) -> Unit:
    spec = {"strip": "store.zarr", "scenes": list(range(20)), "name": name}
    identity = identity_of(kind, _VERSIONS, spec, _GIPPS)
    return Unit(name=name, kind=kind, spec=spec, after=after, identity=identity, cost=Cost(tasks=50, core_seconds=10.0))


def _result(unit: Unit) -> Result:
    made = [("L1C", "1"), ("L2A", "2")] if unit.kind == "TILE" else []
    products = tuple(
        Product(f"{unit.name}-{level}", level, unit.name[-5:], "s3://b", c * 64, 1, "N05.11") for level, c in made
    )
    value = {"records": list(range(20)), "stores": [f"{unit.name}.zarr"]}
    return Result(value, products, 10.0, 5.0, 1 << 30, 1 << 29, 1 << 31, {"before": unit.identity}, _GIPPS, _VERSIONS)


def _cpu(pid: int) -> float:
    """Return the processor time of a server and its children, those that ended too [s]."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it ended meanwhile
            continue
        if int(path.parent.name) == pid or int(fields[1]) == pid:
            total += sum(int(v) for v in fields[11:13]) * _TICK
        if int(path.parent.name) == pid:
            total += sum(int(v) for v in fields[13:15]) * _TICK
    return total


def _stretch(ledger: Ledger) -> None:
    for _ in range(STRETCH):
        (claim,) = ledger.claim("run", "benchmark", lease=60.0)
        ledger.complete(claim, _result(claim.unit))


def _case(title: str, ledger: Ledger, size: int, server: Callable[[], float]) -> Case:
    units, start = session(size), time.process_time() + server()
    ledger.add("run", units)
    adding = time.process_time() + server() - start
    costs, begin = [], time.perf_counter()
    for _ in range(STRETCHES):
        before = time.process_time() + server()
        _stretch(ledger)
        costs.append((time.process_time() + server() - before) / STRETCH)
    wall = (time.perf_counter() - begin) / (STRETCH * STRETCHES)
    mean = sum(costs) / len(costs)
    extra = {"wall ms/unit": wall * 1e3, "dearest ms/unit": max(costs) * 1e3, "adding ms/unit": adding / size * 1e3}
    speed = {"ours": 1.0 / mean, "1 % of 10 s units": 1.0 / (SHARE * UNIT_SECONDS)}
    return Case(title, speed, "units/core-s", {**extra, "share %": mean / UNIT_SECONDS * 100})


def _sqlite() -> Iterator[Case]:
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as ledger:
            yield _case(f"SQLite, {size} units", ledger, size, lambda: 0.0)


def _postgres() -> Iterator[Case]:
    if reason := absent():
        print(f"  PostgreSQL is not measured: {reason}")
        return
    server = Postgres.make()
    server.start()
    try:
        for size in SIZES:
            with Ledger.open(server.create()) as ledger:
                pid = server.process.pid
                yield _case(f"PostgreSQL, {size} units", ledger, size, lambda: _cpu(pid))  # noqa: B023 - called at once
    finally:
        server.stop()


def main() -> None:
    """Measure and print."""
    report("ledger", [*_sqlite(), *_postgres()])


if __name__ == "__main__":
    main()
