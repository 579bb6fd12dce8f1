"""A real PostgreSQL server for the tests, of their own and thrown away after them."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

FOLDERS = ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")
PATH = os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS])
USER = "postgres"


def absent() -> str:
    """Return why no server can be started; empty where one can."""
    if missing := [name for name in ("initdb", "postgres") if shutil.which(name, path=PATH) is None]:
        return f"no {', '.join(missing)}: install postgresql"
    # the server refuses to run as root
    if os.geteuid() == 0 and (shutil.which("setpriv") is None or not _is_user()):
        return f"root without setpriv or without a user {USER}"
    return ""


def _is_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _command(name: str, *arguments: str) -> list[str]:
    program = shutil.which(name, path=PATH) or name
    as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
    return [*as_user, "env", "-i", f"PATH={PATH}", "LC_ALL=C.UTF-8", program, *arguments]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Postgres:
    """A server on the loopback address.

    Attributes
    ----------
    folder : Path
        Of its data.
    port : int
    durable : bool
        Whether a commit is on disk when it is said; no crash is survived without.
    process : Popen or None
        None while it does not run.
    """

    folder: Path
    port: int
    durable: bool = True
    process: subprocess.Popen[bytes] | None = None
    databases: int = 0

    @classmethod
    def make(cls, durable: bool = True) -> "Postgres":
        # a folder of its own: those of pytest are closed to other users
        folder = Path(tempfile.mkdtemp(prefix="s2dask-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        quiet = ("--auth=trust", "--no-instructions", "--no-sync", "--encoding=UTF8", f"--username={USER}")
        subprocess.run(_command("initdb", "-D", str(folder / "data"), *quiet), check=True, capture_output=True)
        return cls(folder, _free_port(), durable)

    def start(self) -> None:
        """Start, or start again after a crash; wait until it answers."""
        fsync = "on" if self.durable else "off"
        options = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder, "fsync": fsync,
            "recovery_init_sync_method": "syncfs",  # after a crash: all files in one call, not one by one
        }  # fmt: skip
        told = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            command = _command("postgres", "-D", str(self.folder / "data"), *told)
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(self.address("postgres"), connect_timeout=2):
                    return
            except psycopg.OperationalError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "server.log").read_text()) from None
                time.sleep(0.05)

    def crash(self) -> None:
        """Kill the server and its children at once, as a power cut would."""
        assert self.process is not None
        pids = [self.process.pid, *self.children()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def children(self) -> list[int]:
        """Return the processes of its connections and of its housekeeping."""
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in tasks for pid in path.read_text().split()]

    def stop(self) -> None:
        """Stop it, and throw everything away."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # fast: connections are cut
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def address(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template0") -> str:
        """Make a database, and return its address."""
        self.databases += 1
        name = f"s2dask_{self.databases}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.address(name)
