"""The database: made, migrated, recognised; what cannot be used is refused in plain words."""

import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from ledger_model import made, one, take, unit
from postgres_server import Postgres
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from s2dask.errors import ConfigurationError
from s2dask.production.ledger import Ledger, LedgerError
from s2dask.production.ledger.database import Database, passes, plain, url_of
from s2dask.production.ledger.schema import configuration, head, prepare, revision

REFUSED = re.compile("read-only|cannot be opened")


def test_from_nothing_to_the_newest_and_back(address: str) -> None:
    database = Database(address, 1.0)
    assert database.read(revision) is None
    prepare(database)
    assert database.read(revision) == head() == "0001"
    # the models and the migrations say the same: raises where they differ
    database.write(lambda c: command.check(configuration(c)))
    prepare(database)
    database.write(lambda c: command.downgrade(configuration(c), "base"))
    assert database.read(lambda c: inspect(c).get_table_names()) == ["ledger_version"]
    prepare(database)
    assert len(database.read(lambda c: inspect(c).get_table_names())) == 11
    database.close()


def test_a_newer_ledger_is_refused(address: str) -> None:
    Ledger.open(address).close()
    database = Database(address, 1.0)
    database.write(lambda c: c.execute(text("UPDATE ledger_version SET version_num = '9999'")))
    database.close()
    with pytest.raises(LedgerError, match=r"schema 9999, which this version of s2dask \(schema 0001\) does not know"):
        Ledger.open(address)


def test_a_foreign_database_is_left_alone(address: str) -> None:
    database = Database(address, 1.0)
    database.write(lambda c: c.execute(text("CREATE TABLE runs (distance INTEGER)")))
    database.close()
    with pytest.raises(LedgerError, match="the database is no ledger, it has tables of something else: runs"):
        Ledger.open(address)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "readme.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(LedgerError, match="the file is no SQLite database"):
        Ledger.open(path)
    assert path.read_text().startswith("not a database")


def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"the database is damaged|malformed"), Ledger.open(path) as ledger:
        ledger.runs()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://user@host/db", "no ledger on mysql"),
        ("sqlite://", "a ledger in memory forgets"),
        ("sqlite:///:memory:", "a ledger in memory forgets"),
        ("://x", "not the address of a database"),
        ("nowhere/at/all/ledger.db", "its folder is not there"),
    ],
)
def test_addresses_that_make_no_sense(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Ledger.open(url)


def test_addresses() -> None:
    assert url_of("postgresql://u@h/d").drivername == url_of("postgres://u@h/d").drivername == "postgresql+psycopg"
    assert url_of(Path("a/b.db")).database == "a/b.db"
    assert "secret" not in Database("postgresql://u:secret@h/d", 1.0).where


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["/usr/bin/env", "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no small disk to be had: {done.stderr.strip()}")
    yield folder
    subprocess.run(["/usr/bin/env", "umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing_of_what_was_recorded(small_disk: Path) -> None:
    with Ledger.open(small_disk / "ledger.db") as ledger:
        ledger.add("run", [unit("A")])
        (claim,) = take(ledger)
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1 << 22))
        with pytest.raises(LedgerError, match="the disk is full"):
            ledger.add("run", [unit(f"FILL-{n}") for n in range(5000)])
        assert one(ledger, "A")["state"] == "RUNNING"
        filler.unlink()
        ledger.complete(claim, made("P"))
    with Ledger.open(small_disk / "ledger.db") as ledger:
        assert [p["name"] for p in ledger.products("run")] == ["P"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_the_right_to_write(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db").close()
    (tmp_path / "ledger.db").chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(LedgerError, match=REFUSED), Ledger.open(tmp_path / "ledger.db") as ledger:
            ledger.add("run", [unit("A")])
    finally:
        tmp_path.chmod(0o755)


def test_a_read_only_disk(small_disk: Path) -> None:
    Ledger.open(small_disk / "ledger.db").close()
    subprocess.run(["/usr/bin/env", "mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(LedgerError, match=REFUSED), Ledger.open(small_disk / "ledger.db") as ledger:
        ledger.add("run", [unit("A")])


def test_a_writer_that_holds_its_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2dask.production.ledger.database.BUSY", 0.05)
    path = tmp_path / "ledger.db"
    with Ledger.open(path, patience=0.3) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match=r"does not answer \(database is locked\)"):
            ledger.add("run", [unit("A")])
        other.execute("ROLLBACK")
        other.close()
        assert ledger.add("run", [unit("A")]) == 1


@pytest.mark.slow
def test_three_processes_make_the_tables_of_one_database(address: str) -> None:
    code = textwrap.dedent("""
        import sys
        from s2dask.production.ledger import Ledger
        with Ledger.open(sys.argv[1]) as ledger:
            print(ledger.runs())
    """)
    started = [subprocess.Popen([sys.executable, "-c", code, address], stdout=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[0] for process in started] == [b"[]\n"] * 3


def test_a_server_that_says_no_is_not_asked_again(postgres: Postgres) -> None:
    with pytest.raises(LedgerError, match='database "nothing" does not exist'):
        Ledger.open(postgres.address("nothing"), patience=60.0)


def test_a_server_that_is_not_there(postgres: Postgres) -> None:
    with pytest.raises(LedgerError, match="the database does not answer"):
        Ledger.open("postgresql://u@127.0.0.1:1/d", patience=0.2)


def test_a_role_without_rights(postgres: Postgres) -> None:
    address = postgres.create()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
    with pytest.raises(LedgerError, match="the role may not do this"):
        Ledger.open(address.replace("postgres@", "reader@"))


def test_a_connection_that_was_cut_is_made_again(postgres: Postgres) -> None:
    address = postgres.create()
    with Ledger.open(address) as ledger, psycopg.connect(address, autocommit=True) as other:
        ledger.add("run", [unit("A")])
        (claim,) = take(ledger)
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        ledger.complete(claim, made("P"))
        assert len(ledger.products("run")) == 1


def test_which_errors_pass() -> None:
    def error(code: int) -> DBAPIError:
        original = sqlite3.OperationalError("told")
        original.sqlite_errorcode = code
        return DBAPIError("SELECT", None, original)

    assert passes(error(sqlite3.SQLITE_BUSY | (2 << 8)))  # an extended code
    assert not passes(error(sqlite3.SQLITE_FULL))
    assert str(plain(error(sqlite3.SQLITE_FULL), "l.db")).startswith("l.db: the disk is full (told); make room")
