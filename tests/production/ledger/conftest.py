"""Ledgers on both databases, each empty."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile

import pytest
from ledger_model import Clock, empty
from postgres_server import Postgres, absent

from s2dask.production.ledger import Ledger, Retry


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a server that the tests share; what it says is not on disk, which is quicker."""
    if reason := absent():
        pytest.skip(reason)
    server = Postgres.make(durable=False)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return request.getfixturevalue("postgres").create()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a ledger without runs, to be copied: that is quicker than to make the tables again."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    Ledger.open(path).close()
    return path


@pytest.fixture(scope="session")
def shared_database(postgres: Postgres) -> str:
    address = postgres.create()
    Ledger.open(address).close()
    return address


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Return an empty ledger that tries three times."""
    if request.param == "sqlite":
        address = str(copyfile(request.getfixturevalue("empty_file"), tmp_path / "ledger.db"))
    else:
        address = request.getfixturevalue("shared_database")
        empty(address)
    with Ledger.open(address, clock=clock, retry=Retry(attempts=3, first=10.0, longest=15.0)) as opened:
        yield opened
