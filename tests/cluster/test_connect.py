"""Ways to a cluster, and back to it when its scheduler has died."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import pytest
from distributed import Client, Security
from typer.testing import CliRunner

from s2dask.cli import app
from s2dask.cluster.connect import Connection, Credentials, open_client
from s2dask.cluster.environment import THREADS
from s2dask.cluster.report import reported
from s2dask.cluster.verification import code_digest
from s2dask.commands.cluster import connected
from s2dask.errors import ConfigurationError, InputMissing, WorkerLost
from s2dask.simulate.structure import StructureOptions, simulate_structure


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def start(*words: str, **variables: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
    return subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.DEVNULL)


@contextmanager
def outside_cluster(port: int, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a scheduler and a worker that do not belong to the client; yield the scheduler."""
    scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    worker = start(
        "dask_worker", f"tcp://127.0.0.1:{port}", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60",
        **variables,
    )  # fmt: skip
    try:
        yield scheduler
    finally:
        for process in (worker, scheduler):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def fresh_digest() -> None:
    """Have the code looked at anew: it may have been edited since another test looked."""
    code_digest.cache_clear()


def test_strange_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no cluster is called 'moon'"), open_client("moon"):
        pass
    with pytest.raises(ConfigurationError, match="certificates"), open_client("tls://127.0.0.1:1"):
        pass
    with pytest.raises(InputMissing, match=r"ca\.pem"):
        Credentials(tmp_path / "ca.pem", tmp_path / "a", tmp_path / "b").security()


@pytest.mark.slow
def test_a_scheduler_that_died_is_found_again() -> None:
    port = free_port()
    where = f"tcp://127.0.0.1:{port}"

    with outside_cluster(port, **THREADS) as scheduler, Connection(lambda: open_client(where)) as connection:
        first = connection.client
        assert first.submit(pow, 2, 5).result(timeout=60) == 32
        assert connection.alive()
        assert connection.reopen() is first
        os.kill(scheduler.pid, signal.SIGKILL)
        scheduler.wait()
        until = time.monotonic() + 30
        while connection.alive() and time.monotonic() < until:
            time.sleep(0.2)
        assert not connection.alive()
        with pytest.raises(WorkerLost, match="no scheduler"):
            connection.reopen(patience=0.0)
        with outside_cluster(port, **THREADS):
            assert connection.reopen(patience=60.0) is not first
            assert connection.client.submit(pow, 2, 3).result(timeout=60) == 8


@pytest.mark.slow
def test_a_worker_with_threads_of_its_own_is_refused() -> None:
    port = free_port()
    variables = {**THREADS, "NUMBA_NUM_THREADS": "2"}
    with outside_cluster(port, **variables), Client(f"tcp://127.0.0.1:{port}") as waiting:
        waiting.wait_for_workers(1, timeout=60)
        match = "threads inside tasks.*NUMBA_NUM_THREADS=1"
        with pytest.raises(ConfigurationError, match=match), open_client(f"tcp://127.0.0.1:{port}"):
            pass


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--workers, --cluster"), connected(2, "tcp://127.0.0.1:1"):
        pass
    with pytest.raises(ConfigurationError, match="not all"), connected(None, "tls://h:1", (tmp_path, None, None)):
        pass


@pytest.mark.slow
def test_a_run_and_a_campaign_work_on_a_cluster_that_is_there(tmp_path: Path) -> None:
    options = StructureOptions(2, (6,), ("B04", "B01"), frames_per_file=3000)
    session = simulate_structure(str(tmp_path / "archive" / "session"), options)
    port = free_port()
    with outside_cluster(port, **THREADS):
        for words in (
            ["run", session, "--to", "L0", "-o", str(tmp_path / "run")],
            ["campaign", "submit", "c", str(tmp_path / "archive"), "--to", "L0", "-o", str(tmp_path / "c")],
        ):
            made = CliRunner().invoke(app, [*words, "--cluster", f"tcp://127.0.0.1:{port}"])
            assert made.exit_code == 0, made.output
        with Client(f"tcp://127.0.0.1:{port}") as client:
            (log,) = client.run(lambda dask_worker: [str(entry[0]) for entry in dask_worker.state.log]).values()
    assert any("MSI_Merge-D06-G000" in key for key in log)
    for folder in ("run", "c"):
        assert len(list((tmp_path / folder).glob("S2A_OPER_MSI_L0__DS_*"))) == 1


@pytest.mark.slow
def test_tls_from_files(tmp_path: Path) -> None:
    from distributed import LocalCluster

    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl, which makes the certificate")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=s2dask",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    credentials = Credentials(certificate, certificate, key)  # it vouches for itself
    made = Security(
        tls_ca_file=str(certificate), require_encryption=True,
        **{f"tls_{who}_{what}": str(path) for who in ("scheduler", "worker", "client")
           for what, path in (("cert", certificate), ("key", key))},
    )  # fmt: skip
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": THREADS}),
        LocalCluster(1, threads_per_worker=1, security=made, protocol="tls://", dashboard_address=None) as cluster,
        open_client(cluster.scheduler_address, credentials=credentials) as client,
    ):
        assert client.submit(pow, 2, 4).result(timeout=60) == 16
        session = simulate_structure(str(tmp_path / "session"), StructureOptions(2, (6,), ("B04",)))
        files = {"--tls-ca": certificate, "--tls-cert": certificate, "--tls-key": key}
        words = ["run", session, "--to", "L0", "-o", str(tmp_path / "out"), "--cluster", cluster.scheduler_address]
        made = CliRunner().invoke(app, [*words, *(str(w) for pair in files.items() for w in pair)])
        assert made.exit_code == 0, made.output


@pytest.mark.slow
def test_a_local_cluster_grows_and_reports(tmp_path: Path) -> None:
    with open_client("local", workers=1, dashboard=False, adapt=(1, 2)) as client:
        page = tmp_path / "deep" / "report.html"
        with reported(client, "run", "L1B-D05-G000-007", page=page):
            assert client.submit(pow, 2, 6).result(timeout=60) == 64
        assert page.stat().st_size > 10_000
        spans = client.cluster.scheduler.extensions["spans"].spans_search_by_name  # type: ignore[union-attr]
        assert ("run", "L1B-D05-G000-007") in spans
