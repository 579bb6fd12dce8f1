"""What workers make ready before their first task: libraries, kernels, the table of L2A.

The kernels of a whole chain take a minute and more to compile; from the cache of kernels they load in seconds. Which
signatures a run asks for is on record in ``data/kernel_signatures.json``, written by
``benchmarks/kernel_signatures.py`` from a run; a record that is out of date costs time, and nothing else.
"""

import importlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from numba import types
from numba.core.dispatcher import Dispatcher

from s2dask.cluster.warm_up import Call
from s2dask.errors import ConfigurationError

RECORD: Final = Path(__file__).resolve().parents[1] / "data" / "kernel_signatures.json"
_LIBRARIES: Final = ("s2dask.production.levels", "s2dask.production.tile_release", "s2dask.production.chain")

_log = logging.getLogger(__name__)


def encode(kind: Any) -> Any:
    """Return a type as JSON: its name, or a list: ``["array", type, dimensions, layout, writeable, aligned]``."""
    if isinstance(kind, types.Array):
        return ["array", encode(kind.dtype), kind.ndim, kind.layout, kind.mutable, kind.aligned]
    if isinstance(kind, types.BaseTuple):
        made = getattr(kind, "instance_class", tuple)
        head = ["tuple"] if made is tuple else ["named", made.__module__, made.__qualname__]
        return [*head, *(encode(part) for part in getattr(kind, "types", ()))]
    if isinstance(kind, types.Omitted):
        return ["omitted", kind.value]
    name = str(kind)
    if getattr(types, name, None) != kind:
        raise ConfigurationError(f"a kernel is called with {kind}", "warm-up", "teach it to s2dask.production.warm_up")
    return name


def decode(told: Any) -> Any:
    """Return the type that `encode` told."""
    if isinstance(told, str):
        return getattr(types, told)
    what, *parts = told
    if what == "array":
        dtype, dimensions, layout, writeable, aligned = parts
        return types.Array(decode(dtype), dimensions, layout, readonly=not writeable, aligned=aligned)
    if what == "named":
        module, name, *fields = parts
        made = getattr(importlib.import_module(module), name)
        return types.BaseTuple.from_types([decode(part) for part in fields], made)
    if what == "tuple":
        return types.BaseTuple.from_types([decode(part) for part in parts])
    return types.Omitted(*parts)


@cache
def record() -> dict[str, dict[str, list[Any]]]:
    """Return the signatures of a chain, by module and kernel, in the order in which a run comes to the modules."""
    content: dict[str, dict[str, list[Any]]] = json.loads(RECORD.read_text("utf-8"))
    return content


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of a module, made ready by a call.

    Attributes
    ----------
    module : str
    """

    module: str

    def __call__(self) -> int:
        """Compile what is on record, or load it from the cache; return the number of signatures."""
        done, home = 0, importlib.import_module(self.module)
        for name, signatures in record()[self.module].items():
            kernel = getattr(home, name, None)
            if not isinstance(kernel, Dispatcher):  # renamed since, or not to be compiled
                continue
            for told in signatures:
                try:
                    kernel.compile(tuple(decode(argument) for argument in told))
                except Exception:  # noqa: BLE001 - numba has many; the kernel has changed since
                    _log.debug("%s.%s is not as on record", self.module, name, exc_info=True)
                else:
                    done += 1
        return done


def import_libraries() -> None:
    """Import what the tasks of every level stand on."""
    for name in _LIBRARIES:
        importlib.import_module(name)


@dataclass(frozen=True, slots=True)
class AirTable:
    """The table of atmospheric quantities of a unit, in which L2A interpolates, read by a call.

    Attributes
    ----------
    unit : str
    """

    unit: str

    def __call__(self) -> None:
        """Read it, once per process."""
        from s2dask.l2a.lut import table

        table(self.unit)


def calls(levels: Sequence[str] = ("l0", "l1b", "l1c", "l2a"), unit: str | None = None) -> list[Call]:
    """Return what a worker is to do before its first task, in the order of a chain.

    Parameters
    ----------
    levels : sequence of str
        Folders whose kernels are wanted; those of `geometry` and `auxdata` come with any level after L0, those of
        `release` with tiles.
    unit : str, optional
        Whose table of L2A to read.
    """
    common = ("auxdata", "geometry") if set(levels) - {"l0"} else ()
    delivery = ("release",) if {"l1c", "l2a"} & set(levels) else ()
    wanted = [Kernels(name) for name in record() if name.split(".")[1] in {*levels, *common, *delivery}]
    table = [AirTable(unit)] if unit is not None and "l2a" in levels else []
    return [import_libraries, *wanted, *table]
