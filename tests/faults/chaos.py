"""The fault machine: the pieces of a production as processes, which dies at random, and what its ledger tells then.

Pieces are started again when they are gone, as an operator's supervisor does. What happens, and when, comes from a
seed; what was happening meanwhile does not.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil
from postgres_server import Postgres

from s2dask.cluster.environment import THREADS
from s2dask.io.object_store import patiently
from s2dask.io.storage import filesystem, is_s3
from s2dask.production.ledger import DONE, REUSED, Ledger
from s2dask.release.publish import MANIFEST, verify

FAULTS = ("worker", "nanny", "scheduler", "client", "connection", "database", "disk")
"""What can happen to a machine; `chaos_store` has what can to a store."""
_GONE_FOR_GOOD = 9
_TOO_OFTEN = 12
"""A client may end by itself, as where its ledger is away for long; its supervisor starts it again."""
_SCHEDULER = {
    "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "5 minutes",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """Yield a folder on a disk of its own, of so many bytes; who is not root gets none."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "s2dask-chaos", str(folder)]
    subprocess.run(command, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


@dataclass
class Machine:
    """The pieces of one production.

    Attributes
    ----------
    folder : Path
        Of logs.
    order : dict
        What `s2dask.production.chain.run` is asked for.
    seed : int
    postgres : Postgres or None
        Whose database the ledger is in.
    more : mapping of str to callable
        Other faults by name; each is over when it returns.
    history : list of (float, str, str)
        Seconds since the beginning, what died, and what was under way.
    """

    folder: Path
    order: dict[str, Any]
    seed: int = 0
    postgres: Postgres | None = None
    more: dict[str, Callable[[random.Random], None]] = field(default_factory=dict)
    history: list[tuple[float, str, str]] = field(default_factory=list)
    starts: Counter[str] = field(default_factory=Counter)
    _pieces: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    _port: int = field(default_factory=free_port)
    _given_up: int = 0
    _begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.random = random.Random(self.seed)  # noqa: S311

    @property
    def where(self) -> str:
        return f"tcp://127.0.0.1:{self._port}"

    def _commands(self) -> dict[str, list[str]]:
        client = Path(__file__).with_name("chaos_client.py")
        asked = json.dumps({**self.order, "where": self.where})
        return {
            "scheduler": [
                "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self._port),
                "--no-dashboard", "--no-show",
            ],
            "nanny": [
                "-m", "distributed.cli.dask_worker", self.where, "--nthreads", "1", "--no-dashboard",
                "--death-timeout", "20", "--local-directory", str(self.folder),
            ],
            "client": [str(client), asked],
            "client2": [str(client), asked],
        }  # fmt: skip

    def _start(self, name: str) -> None:
        self.starts[name] += 1
        log: TextIO = (self.folder / f"{name}-{self.starts[name]:03d}.log").open("w")
        env = {**os.environ, **THREADS, **_SCHEDULER}
        out = (self.folder / "answer.json").open("w") if name.startswith("client") else log
        command = [sys.executable, *self._commands()[name]]
        self._pieces[name] = subprocess.Popen(command, stdout=out, stderr=log, env=env, text=True)
        log.close()
        if out is not log:
            out.close()

    def _dead(self, name: str) -> bool:
        piece = self._pieces.get(name)
        return piece is None or piece.poll() is not None

    def supervise(self) -> bool:
        """Start again what is gone; return whether the client has come to its end."""
        client = self._pieces.get("client")
        if client is not None and client.poll() is not None:
            if client.returncode == 0:
                return True
            if client.returncode == _GONE_FOR_GOOD:
                raise AssertionError((self.folder / "answer.json").read_text())
            if client.returncode > 0:
                self.note(f"client ended by itself ({client.returncode})")
                self._given_up += 1
                log = self.folder / f"client-{self.starts['client']:03d}.log"
                assert self._given_up < _TOO_OFTEN, log.read_text()[-3000:]
        for name in ("scheduler", "nanny", "client"):
            if self._dead(name):
                self._start(name)
        return False

    def note(self, what: str) -> None:
        self.history.append((round(time.monotonic() - self._begun, 2), what, self._under_way()))

    def _under_way(self) -> str:
        """Return the units that run, as far as the ledger can be asked."""
        if self.postgres is not None and self.postgres.process is None:
            return "?"
        with contextlib.suppress(Exception), Ledger.open(self.order["ledger"], patience=0.5) as ledger:
            return " ".join(row["name"] for run in ledger.runs() for row in ledger.units(run, states={"RUNNING"}))
        return "?"

    def kill(self, name: str) -> None:
        """Do one thing that should never happen."""
        self.note(name)
        if name in self.more:
            self.more[name](self.random)
        elif name == "worker":
            self._kill_worker()
        elif name == "disk":
            self._fill(self.random.uniform(0.5, 3.0))
        elif name in ("database", "connection"):
            self._hurt_database(name, self.random.uniform(0.0, 2.0))
        else:
            self._pieces[name].kill()
            self._pieces[name].wait()

    def _kill_worker(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._pieces["nanny"].pid).children(recursive=True):
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()

    def _fill(self, seconds: float) -> None:
        """Fill the disk of the run to its last byte, and make room after a while."""
        ballast = Path(self.order.get("scratch") or self.order["out"]).parent / "ballast"
        try:
            with ballast.open("wb") as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
        except OSError:
            pass  # closing it fails too
        self._wait(seconds)
        ballast.unlink()

    def _hurt_database(self, name: str, seconds: float) -> None:
        assert self.postgres is not None
        if name == "connection":
            for pid in self.postgres.children():
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    if "s2dask_" in " ".join(psutil.Process(pid).cmdline()):
                        os.kill(pid, signal.SIGTERM)
            return
        self.postgres.crash()
        self._wait(seconds)
        self.postgres.start()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.05)

    def visible(self) -> list[str]:
        """Return the manifests of the deliveries that can be seen; each has to be whole."""
        if is_s3(self.order["out"]):
            fs, path = filesystem(self.order["out"])
            return patiently(lambda: [self._whole(f"s3://{name}") for name in sorted(fs.glob(f"{path}/*/{MANIFEST}"))],
                             "look", 20.0)  # fmt: skip
        out = Path(self.order["out"])
        found = sorted(p for p in out.iterdir() if not p.name.startswith(".")) if out.is_dir() else []
        return [self._whole(str(product / MANIFEST)) for product in found]

    def _whole(self, manifest: str) -> str:
        delivery = manifest.removesuffix(f"/{MANIFEST}")
        assert verify(delivery) == [], delivery
        fs, path = filesystem(manifest)
        return str(fs.cat_file(path).decode())

    def run(self, kills: Sequence[str] = (), pause: tuple[float, float] = (0.5, 3.0), patience: float = 600.0) -> int:
        """Run to the end while pieces die in this order; return how many died before the end."""
        until, left = time.monotonic() + patience, list(kills)
        done, due = 0, 0.0
        while not self.supervise():
            now = time.monotonic()
            assert now < until, f"no end after {patience:.0f} s: {self.history}"
            if not due and self.at_work():
                due = now + self.random.uniform(*pause)
            if left and due and now > due:
                self.kill(left.pop(0))
                self.visible()
                done, due = done + 1, time.monotonic() + self.random.uniform(*pause)
            time.sleep(0.05)
        return done

    def at_work(self) -> bool:
        """Return whether the first unit has begun: nothing dies before."""
        return bool(self._under_way().strip("?"))

    def piece(self, name: str) -> "subprocess.Popen[str]":
        return self._pieces[name]

    def run_services(self, die_at: str, patience: float = 600.0) -> None:
        """Run two clients on one ledger; the one that holds a unit of a kind is killed, and stays dead."""
        until, killed = time.monotonic() + patience, ""
        clients = ("client", "client2")
        while True:
            assert time.monotonic() < until, self._under_way()
            for name in ("scheduler", "nanny", *clients):
                if self.starts[name] == 0 or (name not in clients and self._dead(name)):
                    if name == "client2" and not self.at_work():
                        continue  # it joins a run that is under way
                    self._start(name)
            if not killed and self.starts["client2"]:
                pids = {int(owner.rsplit("-", 2)[1]) for kind, owner in self._holders() if kind == die_at}
                for name in clients:
                    if self._pieces[name].pid in pids:
                        self.note(killed := name)
                        self._pieces[name].kill()
                        self._pieces[name].wait()
            ended = [self._pieces[name].poll() for name in clients if name != killed and name in self._pieces]
            if killed and ended == [0]:
                return
            assert not any(ended), (self.folder / "answer.json").read_text()
            time.sleep(0.02)

    def _holders(self) -> list[tuple[str, str]]:
        with Ledger.open(self.order["ledger"]) as ledger:
            rows = [row for run in ledger.runs() for row in ledger.units(run, states={"RUNNING"})]
        return [(row["kind"], row["owner"]) for row in rows]

    def owners(self) -> list[tuple[str, str]]:
        """Return outcome and owner of every attempt."""
        with Ledger.open(self.order["ledger"]) as ledger:
            return [(a["outcome"], a["owner"]) for run in ledger.runs() for a in ledger.attempts(run)]

    def stop(self) -> None:
        """End what still runs, and was started here."""
        for name in ("client", "client2", "nanny", "scheduler"):
            piece = self._pieces.get(name)
            if piece is not None and piece.poll() is None:
                piece.terminate() if name == "nanny" else piece.kill()
                try:
                    piece.wait(10)
                except subprocess.TimeoutExpired:
                    piece.kill()
                    piece.wait()
        self._pieces.clear()


@dataclass(frozen=True)
class Account:
    """What the ledger and the delivery folder tell of a production.

    Attributes
    ----------
    products : list of (level, tile, digest)
        Sorted; one that was made twice is there twice.
    recomputed : list of str
        Units that were run again although they were done.
    states : Counter of str
        Of the units of all runs.
    attempts : Counter of str
        By outcome.
    """

    products: list[tuple[str, str, str]]
    recomputed: list[str]
    states: Counter[str]
    attempts: Counter[str]

    @classmethod
    def of(cls, address: str) -> "Account":
        products: list[tuple[str, str, str]] = []
        states: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        done: Counter[str] = Counter()
        with Ledger.open(address) as ledger:
            for run in ledger.runs():
                states.update(row["state"] for row in ledger.units(run))
                products += [(p["level"], p["tile"], p["sha256"]) for p in ledger.products(run)]
                for attempt in ledger.attempts(run):
                    outcomes[attempt["outcome"]] += 1
                    if done[attempt["unit"]] and attempt["outcome"] != REUSED:
                        done[attempt["unit"]] += 1
                    elif attempt["outcome"] == DONE:
                        done[attempt["unit"]] = 1
        return cls(sorted(products), [name for name, n in done.items() if n > 1], states, outcomes)
