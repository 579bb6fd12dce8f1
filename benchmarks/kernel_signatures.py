"""Write down with which types a run calls the kernels, for the warm-up of workers.

    NUMBA_NUM_THREADS=1 python benchmarks/kernel_signatures.py SESSION

SESSION is a simulated session, such as ``demo/session``; its whole chain runs in this process, with an empty cache of
kernels. Prints what each module takes to compile [CPU s] and writes ``s2dask/data/kernel_signatures.json``.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import Any

from numba.core import event

Found = dict[str, dict[str, list[Any]]]


class Listener(event.Listener):  # type: ignore[misc]  # numba has no types
    """Notes what is compiled at the request of Python; what a kernel calls is compiled with it."""

    def __init__(self) -> None:
        self.here = threading.local()
        self.calls: list[tuple[Any, Any]] = []
        self.seconds: Counter[str] = Counter()

    def on_start(self, event: Any) -> None:
        """Begin, perhaps within another."""
        self.here.begun = [*getattr(self.here, "begun", []), time.thread_time()]

    def on_end(self, event: Any) -> None:
        """Note the outermost."""
        begun = self.here.begun.pop()
        if not self.here.begun:
            function = event.data["dispatcher"].py_func
            self.calls.append((function, event.data["args"]))
            self.seconds[function.__module__] += time.thread_time() - begun


def run_chain(session: str, out: str) -> None:
    """Run the chain on a simulated session, here."""
    from distributed import Client, LocalCluster

    from s2dask.geometry.tiles import tile_at
    from s2dask.production.chain import run
    from s2dask.simulate.comparison import Truth

    truth = Truth(f"{session}/truth.zarr")
    tile = tile_at(*truth.attrs["centre"])
    with (
        LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as c,
    ):
        run(session, client=c, out=out, tile=tile, window=truth.window)


def signatures(calls: list[tuple[Any, Any]]) -> Found:
    """Return the types of calls by module and kernel, in their order."""
    from s2dask.production.warm_up import encode

    found: Found = {}
    for function, arguments in calls:
        if function.__module__.startswith("s2dask.simulate"):
            continue
        kernels = found.setdefault(function.__module__, {})
        kernels.setdefault(function.__name__, []).append([encode(kind) for kind in arguments])
    return found


def main() -> None:
    """Record."""
    listener = Listener()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = f"{folder}/cache"
        event.register("numba:compile", listener)
        run_chain(sys.argv[1], f"{folder}/out")
    write(signatures(listener.calls))
    for module, seconds in listener.seconds.most_common():
        print(f"{seconds:7.2f} {module}")
    print(f"{sum(listener.seconds.values()):7.2f} in all")


def write(found: Found) -> None:
    """Write the record, a line for each signature."""
    from s2dask.production.warm_up import RECORD

    blocks = []
    for module, kernels in found.items():
        inner = []
        for name, told in kernels.items():
            lines = ",\n".join(f"   {json.dumps(one)}" for one in told)
            inner.append(f"  {json.dumps(name)}: [\n{lines}\n  ]")
        blocks.append(f" {json.dumps(module)}: {{\n" + ",\n".join(inner) + "\n }")
    RECORD.write_text("{\n" + ",\n".join(blocks) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
