"""A real S3 server for the tests: Ceph's gateway, started by the project's own script where its programs are there."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "deploy" / "ceph" / "rgw.sh"
PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool")


def absent() -> list[str]:
    """Return the programs that are not there."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


class _Overloaded(BaseHTTPRequestHandler):
    """Answers 503, as a gateway does that has too much to do."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base
        """Say nothing."""

    def _refuse(self) -> None:
        body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
        self.send_response(503)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _refuse  # noqa: N815 - of the base


@dataclass(frozen=True)
class Ceph:
    """A server under way.

    Attributes
    ----------
    folder : Path
    port : int
        Of the gateway, on the loopback address.
    """

    folder: Path
    port: int

    @classmethod
    def start(cls, folder: Path) -> "Ceph":
        port, mon_port = _free_ports(2)
        env = os.environ | {"PORT": str(port), "MON_PORT": str(mon_port), "SIZE": str(1 << 30)}
        # the daemons keep the script's output open: it goes to a file, not to a pipe that nobody would ever close
        with (folder / "start.log").open("wb") as log:
            command = [str(SCRIPT), "start", str(folder)]
            done = subprocess.run(command, env=env, check=False, stdout=log, stderr=log, timeout=200)
        if done.returncode:
            raise RuntimeError((folder / "start.log").read_text())
        return cls(folder, port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        return {
            "AWS_ACCESS_KEY_ID": "S2KEY", "AWS_SECRET_ACCESS_KEY": "S2SECRET", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }  # fmt: skip

    def _signal(self, number: signal.Signals) -> None:
        os.kill(int((self.folder / "run" / "client.rgw.pid").read_text()), number)

    def freeze(self) -> None:
        """Let the gateway accept connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the gateway as a power cut does; nobody listens at its address then."""
        self._signal(signal.SIGKILL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        raise TimeoutError("the gateway does not go")

    def revive(self) -> None:
        """Start the gateway again; what it has acknowledged is in the store behind it."""
        gateway = shutil.which("radosgw") or ""
        subprocess.run([gateway, "-c", str(self.folder / "ceph.conf"), "-n", "client.rgw"], check=True, timeout=60)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise TimeoutError("the gateway does not come back")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Have the gateway be dead."""
        self.kill()
        try:
            yield
        finally:
            self.revive()

    @contextlib.contextmanager
    def overloaded(self) -> Iterator[None]:
        """Have every request be answered with 503 SlowDown, by a stand-in at the gateway's address."""
        self.kill()
        door = ThreadingHTTPServer(("127.0.0.1", self.port), _Overloaded)
        thread = threading.Thread(target=door.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            door.shutdown()
            thread.join()
            door.server_close()
            self.revive()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Have the key be refused (403)."""
        admin = ["radosgw-admin", "-c", str(self.folder / "ceph.conf"), "user"]
        subprocess.run([*admin, "suspend", "--uid", "s2"], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run([*admin, "enable", "--uid", "s2"], check=True, capture_output=True)

    def poor_user(self, name: str, objects: int) -> tuple[str, str]:
        """Make a user who may have so many objects and no more; return key and secret."""
        admin = ["radosgw-admin", "-c", str(self.folder / "ceph.conf")]
        key, secret = f"{name}KEY", f"{name}SECRET"
        for command in (
            ["user", "create", "--uid", name, "--display-name", name, "--access-key", key, "--secret-key", secret],
            ["quota", "set", "--quota-scope", "user", "--uid", name, "--max-objects", str(objects)],
            ["quota", "enable", "--quota-scope", "user", "--uid", name],
        ):
            subprocess.run([*admin, *command], check=True, capture_output=True)
        return key, secret

    def stop(self) -> None:
        subprocess.run([str(SCRIPT), "stop", str(self.folder)], check=True)
