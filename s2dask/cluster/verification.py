"""What a worker must have in common with its client: the code, the libraries, the settings of its threads."""

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from distributed import WorkerPlugin

from s2dask.cluster.environment import THREADS
from s2dask.errors import ConfigurationError

PACKAGES: Final = ("dask", "distributed", "llvmlite", "numba", "numcodecs", "numpy", "rasterio", "xarray", "zarr")
"""Libraries whose version may change a result or a message between processes."""
_PACKAGE: Final = Path(__file__).resolve().parents[1]


@cache
def code_digest() -> str:
    """Return a digest of every Python file of s2dask."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def facts() -> dict[str, str]:
    """Return what settles the results of this process, by name."""
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _version(name) for name in PACKAGES},
        "s2dask code": code_digest(),
    }


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return what differs, a clause each."""
    return [
        f"{name} {found.get(name, 'absent')[:16]} instead of {value[:16]}"
        for name, value in expected.items()
        if found.get(name) != value
    ]


@dataclass
class Verification(WorkerPlugin):
    """Refuse to work on a worker that is not like the client; one that comes later does not join.

    Attributes
    ----------
    expected : mapping of str to str
        `facts` of the client.
    threads : mapping of str to str
        Variables that a worker's environment must have; one thread inside each task, as parallelism belongs to Dask.
    """

    expected: Mapping[str, str] = field(default_factory=facts)
    threads: Mapping[str, str] = field(default_factory=lambda: dict(THREADS))
    name: str = "s2dask-verification"

    def setup(self, worker: Any) -> None:
        """Compare."""
        wrong = differences(self.expected, facts())
        if wrong:
            remedy = "install the same release of s2dask and the versions of its lock file there"
            raise ConfigurationError(f"not the client's environment: {', '.join(wrong)}", worker.address, remedy)
        unset = {name: value for name, value in self.threads.items() if os.environ.get(name) != value}
        if unset:
            start = " ".join(f"{name}={value}" for name, value in unset.items())
            raise ConfigurationError("threads inside tasks would compete", worker.address, f"start it with {start}")
