"""What becomes of a unit that fails: its class of failure, and everything needed to see it fail again."""

import errno
import json
import platform
import shutil
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError

from s2dask import __version__
from s2dask.errors import InputMissing, S2Error, WorkerLost
from s2dask.graph.unit import Cost, Unit
from s2dask.production.ledger.records import Failure, FailureKind, LedgerError

_PASSING: Final = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN", "EBUSY", "EDQUOT", "EIO", "EINTR", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EROFS", "ESTALE",
        "ENOTEMPTY",  # the task of a service that died still writes where this one removes
    )
)  # fmt: skip
_SPACE: Final = 1 << 20
"""Less is left of a full disk [B]."""
_PASSING_NAMES: Final = frozenset({
    "BotoCoreError", "ClientError", "ConnectTimeoutError", "EndpointConnectionError", "NoValidWorkerError",
    "NoWorkerError", "OperationalError", "ReadTimeoutError", "ResponseStreamingError",
})  # fmt: skip


def _lineage(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def _is_full(folder: Path | None) -> bool:
    """Return whether the disk of a folder is full: libraries that write say so in words of their own."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None) if folder is not None else None
    return there is not None and shutil.disk_usage(there).free < _SPACE


def kind_of(error: BaseException, folder: Path | None = None) -> FailureKind:
    """Return the class of a failure: it decides whether, and when, a unit is tried again.

    Parameters
    ----------
    error : BaseException
    folder : Path, optional
        On the disk that is written to.
    """
    if isinstance(error, InputMissing):
        return "missing"
    if isinstance(error, LedgerError | WorkerLost | CommClosedError | FutureCancelledError):
        return "transient"
    if isinstance(error, ConnectionError | TimeoutError):
        return "transient"
    if isinstance(error, S2Error):
        return "bad"
    if any(_passes(one) for one in _chain(error)) or _is_full(folder):
        return "transient"
    return "bug"


def _passes(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _PASSING):
        return True
    return bool(_lineage(error) & _PASSING_NAMES)


def failure_of(error: BaseException, bundle: str | None = None, folder: Path | None = None) -> Failure:
    """Return what the ledger is told of an error."""
    trace = "".join(traceback.format_exception(error))
    kind = kind_of(error, folder)
    if isinstance(error, S2Error):
        missing = (error.where or error.what,) if kind == "missing" else ()
        return Failure(kind, error.what, error.where, error.remedy, trace, missing, bundle)
    return Failure(kind, f"{type(error).__name__}: {error}", "", "", trace, (), bundle)


def keep_bundle(folder: Path, unit: Unit, attempt: int, before: Mapping[str, Any], error: BaseException) -> str:
    """Keep what is needed to run a failed unit again; `s2dask repeat FOLDER` does.

    Parameters
    ----------
    folder : Path
        Under which the bundle appears.
    unit : Unit
    attempt : int
    before : mapping
        Values of the units that it came after.
    error : BaseException

    Returns
    -------
    str
        Folder of the bundle: ``unit.json`` and ``traceback.txt``.
    """
    bundle = folder / f"logs_FAILURE_{unit.name}_{attempt}"
    bundle.mkdir(parents=True, exist_ok=True)
    told = {
        "unit": asdict(unit), "attempt": attempt, "before": dict(before), "s2dask": __version__,
        "python": platform.python_version(), "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    (bundle / "unit.json").write_text(json.dumps(told, indent=1), "utf-8")
    (bundle / "traceback.txt").write_text("".join(traceback.format_exception(error)), "utf-8")
    return str(bundle)


def read_bundle(folder: str | Path) -> tuple[Unit, dict[str, Any]]:
    """Return the unit of a bundle, and the values of the units that it came after."""
    path = Path(folder) / "unit.json"
    if not path.is_file():
        raise InputMissing("no unit.json", str(folder), "name a folder logs_FAILURE_…")
    told = json.loads(path.read_text("utf-8"))
    unit = told["unit"]
    fields = unit | {"after": tuple(unit["after"]), "cost": Cost(**unit["cost"])}
    return Unit(**fields), dict(told["before"])
