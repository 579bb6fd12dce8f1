"""The store of indicators: a journal that products are appended to, and a table that it is compacted into.

The journal is one small file per product, in folders by level, unit and month of sensing,
``level=L1C/unit=S2A/month=2026-10/<product>-<identity>.<origin>.jsonl.gz``: a line with what the product is, then one
line per indicator. A file appears whole or not at all, so that any number of processes append at once, on a file system
as on S3; the same product appended again from the same origin takes the place of its file. `s2dask.qc.compact` moves
the journal into the table ``indicators.zarr`` (`s2dask.qc.table`). A query reads both, the folders and arrays that it
needs; of what is in both, the journal.
"""

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from s2dask.errors import InputError
from s2dask.io.storage import filesystem, is_local
from s2dask.qc.indicators import Indicator, Product
from s2dask.qc.table import Entry, Table

_SCHEMA = "s2dask-indicators/1"
_AT_ONCE = 200
_ROWS_AT_ONCE = 4096
_ORIGIN = re.compile(r"[a-z][a-z0-9_]*")
_MONTH = re.compile(r"month=(\d{4}-\d{2})/")


@dataclass(frozen=True, slots=True)
class Row:
    """An indicator of a product of the store.

    Attributes
    ----------
    product : Product
    indicator : Indicator
    seeded : tuple of str
        Defects that were put into the product on purpose; empty for every product of the production.
    """

    product: Product
    indicator: Indicator
    seeded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows to read; an empty field asks for all.

    Attributes
    ----------
    levels, units, indicators, bands, tiles : tuple of str
    detector : int or None
        0: of all detectors; None: every one.
    since, until : str
        Months, inclusive, ``2026-10``.
    seeded : bool
        Products with seeded defects too.
    """

    levels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()
    detector: int | None = None
    since: str = ""
    until: str = ""
    seeded: bool = False

    def wants_product(self, product: Product) -> bool:
        """Tell whether rows of a product can be asked for."""
        return not self.tiles or product.tile in self.tiles

    def wants(self, indicator: Indicator) -> bool:
        """Tell whether an indicator is asked for."""
        return (
            (not self.indicators or indicator.indicator in self.indicators)
            and (not self.bands or indicator.band in self.bands)
            and self.detector in (None, indicator.detector)
        )


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


def _brief(indicator: Indicator) -> dict[str, Any]:
    return {key: value for key, value in asdict(indicator).items() if value not in ("", 0) or key == "value"}


def append(
    store: str, product: Product, indicators: Iterable[Indicator], origin: str = "record", seeded: Sequence[str] = ()
) -> str:
    """Put the indicators of a product into the store and return the file.

    Parameters
    ----------
    store : str
        Folder or URL.
    product : Product
    indicators : iterable of Indicator
    origin : str
        Who measured: ``record`` the processor, ``check`` a later inspection; each has its file.
    seeded : sequence of str
        Defects put in on purpose, for rates of detection.
    """
    if _ORIGIN.fullmatch(origin) is None:
        raise InputError(f"origin {origin!r} is no name", product.name, "use lower-case letters and digits")
    lines = [_line(_brief(indicator)) for indicator in indicators]
    body = "\n".join(lines)
    head = asdict(product) | {"schema": _SCHEMA, "origin": origin, "identity": product.identity, "rows": len(lines)}
    head |= {"seeded": sorted(seeded), "digest": hashlib.sha256(body.encode()).hexdigest()}
    data = gzip.compress(f"{_line(head)}\n{body}\n".encode(), mtime=0)
    url = f"{store.rstrip('/')}/{place(product, origin)}"
    put(url, data)
    return url


def place(product: Product, origin: str) -> str:
    """Return the path of the file of a product in the journal."""
    name = re.sub(r"[^\w.-]", "_", product.name)[:120]
    folder = f"level={product.level}/unit={product.unit}/month={product.month}"
    return f"{folder}/{name}-{product.identity}.{origin}.jsonl.gz"


def table_url(store: str) -> str:
    """Return where the table of a store lies."""
    return f"{store.rstrip('/')}/indicators.zarr"


def put(url: str, data: bytes) -> None:
    """Write a small file so that it appears whole or not at all, whoever else writes it."""
    fs, path = filesystem(url)
    if not is_local(url):
        fs.pipe_file(path, data)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    part.write_bytes(data)
    part.replace(target)


def journal(store: str, query: Query) -> list[str]:
    """Return the paths of the files of the folders that a query needs, in their order."""
    fs, root = filesystem(store)
    found = []
    for level in query.levels or ("*",):
        for unit in query.units or ("*",):
            for path in fs.glob(f"{root.rstrip('/')}/level={level}/unit={unit}/month=*/*.jsonl.gz"):
                month = _MONTH.search(path)
                if month and query.since <= month[1] and (not query.until or month[1] <= query.until):
                    found.append(str(path))
    return sorted(found)


def _indicator(line: str) -> Indicator:
    row = json.loads(line)
    value = row["value"]
    if not (value is None or isinstance(value, int | float)):
        raise ValueError(f"value {value!r}")
    return Indicator(**row)


def _parse(data: bytes, query: Query) -> Entry:
    """Return what a file tells, with the indicators that are asked for."""
    first, _, rest = gzip.decompress(data).decode().partition("\n")
    head, body = json.loads(first), rest.removesuffix("\n")
    if head["schema"] != _SCHEMA:
        raise ValueError(f"schema {head['schema']!r}")
    product = Product(**{field.name: str(head[field.name]) for field in fields(Product)})
    if hashlib.sha256(body.encode()).hexdigest() != head["digest"]:
        raise ValueError("the content differs from its digest")
    entry = Entry(product, str(head["origin"]), tuple(head["seeded"]), str(head["digest"]))
    if not query.wants_product(product) or (entry.seeded and not query.seeded) or not body:
        return entry
    told = (_indicator(line) for line in body.split("\n"))
    return replace(entry, indicators=tuple(i for i in told if query.wants(i)))


def read_journal(store: str, paths: Sequence[str], query: Query, damaged: list[str]) -> Iterator[tuple[str, Entry]]:
    """Yield (path, what it tells) of the files of a journal; those that cannot be read are named in ``damaged``."""
    fs, _ = filesystem(store)
    for start in range(0, len(paths), _AT_ONCE):
        chosen = list(paths[start : start + _AT_ONCE])
        found = fs.cat(chosen, on_error="return")
        for path in chosen:
            data = found[path] if isinstance(found, dict) else found
            try:
                if isinstance(data, Exception):
                    raise data
                yield path, _parse(data, query)
            except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
                damaged.append(f"{path}: {type(error).__name__}: {error}")


def _read_table(table: Table, rows: Sequence[int], query: Query) -> Iterator[Entry]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        chosen = rows[start : start + _ROWS_AT_ONCE]
        told = table.indicators(np.unique(chosen), query)
        yield from (replace(table.entry(row), indicators=tuple(told[row])) for row in chosen)


def scan(store: str, query: Query, damaged: list[str]) -> Iterator[Row]:
    """Yield the rows of a store that a query asks for, in the order of the journal; nothing is read before its turn.

    Parameters
    ----------
    store : str
    query : Query
    damaged : list of str
        Filled: files that cannot be read, each with the reason. The rest is read.
    """
    _, root = filesystem(store)
    paths, table = journal(store, query), Table.open(table_url(store))
    there, rows = set(paths), {}
    for row in table.rows(query):
        entry = table.entry(int(row))
        path = f"{root.rstrip('/')}/{place(entry.product, entry.origin)}"
        if path not in there:
            rows[path] = int(row)
    ordered = sorted(rows)
    compacted = zip(ordered, _read_table(table, [rows[path] for path in ordered], query), strict=True)
    seen = set[str]()
    for _, entry in merge(read_journal(store, paths, query, damaged), compacted, key=itemgetter(0)):
        if entry.key not in seen:
            seen.add(entry.key)
            yield from (Row(entry.product, indicator, entry.seeded) for indicator in entry.indicators)
