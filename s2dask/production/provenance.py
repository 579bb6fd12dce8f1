"""What a unit was made with: the checksum of each GIPP and the version of each step, for the ledger."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import InputMissing
from s2dask.graph.unit import Unit
from s2dask.production.identity import versions
from s2dask.production.setting import AuxFolder, open_gipps
from s2dask.production.work import Context, Done, Work

_LEVELS: Final[Mapping[str, tuple[str, ...]]] = {
    "SESSION": ("L0",), "L0": ("L0",), "L1A": ("L0", "L1A"), "L1B": ("L0", "L1A", "L1B"),
    "STRIP": ("L0", "L1A", "L1B"), "IMPORT": (), "L1C": ("L1C",), "L2A": ("L2A",), "CLEAN": (),
}  # fmt: skip
_IMAGES: Final = ("L1A", "L1B", "STRIP", "TILE", "L1C", "L2A")


def checksums_of(gipps: GippSet) -> dict[str, str]:
    """Return the SHA-256 of each file of a set by ``TYPE/BAND``."""
    return {f"{f.type}/{f.band}": hashlib.sha256(f.path.read_bytes()).hexdigest() for f in gipps.files}


def _levels(unit: Unit) -> tuple[str, ...]:
    """Return the levels whose steps a unit runs."""
    if unit.kind != "TILE":
        return _LEVELS[unit.kind]
    return (*(("L1C",) if unit.spec["images"] else ()), *(("L2A",) if unit.spec["to"] == "L2A" else ()))


def _gipps(unit: Unit) -> dict[str, str]:
    """Return the checksums of the GIPPs of a unit; a real product brings its own parameters."""
    spec = unit.spec
    if unit.kind not in _IMAGES or spec.get("level") == "L0" or not spec.get("images") or not spec.get("aux"):
        return {}
    aux = str(spec["aux"])
    try:
        files = sorted((path.name, path.stat().st_mtime_ns) for path in AuxFolder(aux).gipp.rglob("*"))
        return _checksums(str(spec["l0"]), aux, tuple(files))
    except InputMissing:
        return {}  # the unit says so itself, if it needs them


@lru_cache(maxsize=8)
def _checksums(l0: str, aux: str, _files: tuple[tuple[str, int], ...]) -> dict[str, str]:
    return checksums_of(open_gipps(l0, aux))


def remembering(work: Work) -> Work:
    """Return what runs a unit and says what it was made with."""

    def run(context: Context) -> Done:
        gipps = _gipps(context.unit)  # before it begins: the files may change under it
        return replace(work(context), gipps=gipps, versions=versions(*_levels(context.unit)))

    return run
