"""What settles the outputs of a unit: digests of inputs, versions of steps; equal identities mean equal outputs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from s2dask import __version__
from s2dask.auxdata.gipp_container import read_gipp
from s2dask.auxdata.gipp_set import GippSet
from s2dask.graph.step import Step
from s2dask.graph.unit import Unit, identity_of
from s2dask.l0.stage import STEPS as L0_STEPS
from s2dask.l1a.stage import STEPS as L1A_STEPS
from s2dask.l1b.stage import STEPS as L1B_STEPS
from s2dask.l1c.stage import STEPS as L1C_STEPS
from s2dask.l2a.stage import STEPS as L2A_STEPS
from s2dask.production.ingest import StripUpdate
from s2dask.production.order import Order

_STEPS: Final[Mapping[str, tuple[Step, ...]]] = {
    "L0": L0_STEPS, "L1A": L1A_STEPS, "L1B": L1B_STEPS, "L1C": L1C_STEPS, "L2A": L2A_STEPS,
}  # fmt: skip
_BEYOND_IMAGES: Final = frozenset({"CLOPAR", "CONVER", "JP2KPA", "MASPAR", "RESPAR", "SPAMOD", "TILPAR", "VIEDIR"})
"""Types of GIPP that no step up to Level-1B reads: they say where pixels lie, and what is made of tiles."""
_KINDS: Final = ("dem", "geoid", "iers", "meteo", "scene")
_OF_TILES: Final = ("resampling", "corrections", "jp2_profile", "tile_safe", "zarr_form", "quality_policy")


def steps_of(*levels: str) -> tuple[Step, ...]:
    """Return the steps of some levels, in the order of the chain."""
    return tuple(step for level in levels for step in _STEPS[level])


def versions(*levels: str) -> dict[str, str]:
    """Return the versions of the steps of some levels, and of s2dask."""
    return {"s2dask": __version__} | {step.name: step.version for step in steps_of(*levels)}


@lru_cache(maxsize=16)
def folder_digest(folder: str) -> str:
    """Return the digest of names, sizes and dates of the auxiliary files of a folder that are too large to be read."""
    root = Path(folder)
    files = sorted(p for kind in _KINDS for p in (root / kind).rglob("*") if p.is_file())
    told = [(p.relative_to(root).as_posix(), (found := p.stat()).st_size, found.st_mtime_ns) for p in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def file_digest(path: str | None) -> str:
    """Return the digest of a small file; empty of none."""
    return "" if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()


@lru_cache(maxsize=16)
def image_gipps(gipps: GippSet) -> str:
    """Return a digest of the GIPPs of a set that settle images up to Level-1B."""
    told = [
        (file.type, file.band, hashlib.sha256(read_gipp(file.path).strip()).hexdigest())
        for file in gipps.files
        if file.type not in _BEYOND_IMAGES
    ]
    return hashlib.sha256(repr(sorted(told)).encode()).hexdigest()


def granules_identity(
    kind: str, update: StripUpdate, detector: int, scenes: tuple[int, int], gipps: GippSet | None = None
) -> str:
    """Return the identity of a unit of packets, or of images, of a detector.

    Parameters
    ----------
    kind : {"L0", "L1A", "L1B"}
    update : StripUpdate
    detector : int
    scenes : (int, int)
        First and last + 1 of those that it reads.
    gipps : GippSet, optional
        Of images.
    """
    read = {f"G{k:03d}": update.digests[detector, k] for k in range(*scenes)}
    levels = {"L0": ("L0",), "L1A": ("L0", "L1A"), "L1B": ("L0", "L1A", "L1B")}[kind]
    inputs = read if gipps is None else read | {"gipps": image_gipps(gipps)}
    return identity_of(kind, versions(*levels), {"strip": update.rank, "detector": detector}, inputs)


def identified_granules(units: Sequence[Unit], update: StripUpdate, gipps: GippSet) -> list[Unit]:
    """Return units of images (kinds L1A, L1B) with their identities."""

    def identity(unit: Unit) -> str:
        first, stop = unit.spec["reads"]
        return granules_identity(unit.kind, update, int(unit.spec["detector"]), (int(first), int(stop)), gipps)

    return [replace(unit, identity=identity(unit)) for unit in units]


def part_identity(update: StripUpdate, scenes: tuple[int, int], number: int, order: Order, gipps: GippSet) -> str:
    """Return the identity of what judges the granules of a virtual datastrip.

    Parameters
    ----------
    update : StripUpdate
        Of the whole.
    scenes : (int, int)
        First and last + 1 of those that they are made of, margins included.
    number : int
        Of the virtual datastrip.
    order : Order
    gipps : GippSet
    """
    read = {f"D{d:02d}-G{k:03d}": digest for (d, k), digest in update.digests.items() if scenes[0] <= k < scenes[1]}
    inputs = read | {"checklists": file_digest(order.checklists), "gipps": gipps.id}
    spec = {"rank": update.rank, "part": number, "split": order.split, "policy": order.quality_policy}
    return identity_of("STRIP", versions("L0", "L1A", "L1B"), spec, inputs)


def strip_identity(
    level: str, update: StripUpdate, aux: str, order: Order, gipps: GippSet | None = None, *, split: int | None = None
) -> str:
    """Return the identity of what closes a datastrip, of one that is split with the scenes of a part."""
    inputs = {"strip": update.digest, "aux": folder_digest(aux), "checklists": file_digest(order.checklists)}
    if gipps is not None:
        inputs["gipps"] = gipps.id
    spec = {"rank": update.rank, "level": level, "formats": list(order.formats), "policy": order.quality_policy}
    spec |= {} if split is None else {"split": split}
    return identity_of("STRIP", versions("L0", "L1A", "L1B"), spec, inputs)


def tile_identity(tile: Mapping[str, Any], order: Order, to: str, inputs: Mapping[str, str]) -> str:
    """Return the identity of a tile.

    Parameters
    ----------
    tile : mapping
        Its grid, as in the spec of its unit.
    order : Order
    to : str
        Last level.
    inputs : mapping of str to str
        Digests of what it is made of.
    """
    asked = order.spec()
    spec = {name: asked[name] for name in _OF_TILES} | {"tile": dict(tile), "to": to}
    told = dict(inputs) | {"checklists": file_digest(order.checklists)}
    levels = ("L0", "L1A", "L1B", "L1C", "L2A") if to == "L2A" else ("L0", "L1A", "L1B", "L1C")
    return identity_of("TILE", versions(*levels), spec, told)
