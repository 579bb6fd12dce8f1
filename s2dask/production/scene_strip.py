"""Images of a datastrip as lazy arrays, one chunk per granule, from the functions that production runs."""

from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from s2dask.auxdata.gipp_set import GippSet
from s2dask.instrument import band
from s2dask.io.strips import StripSource
from s2dask.production.l1a_strip import l1a_lines
from s2dask.production.strip import process_scene, strip_facts

Kind = Literal["img", "mask"]
Steps = tuple[str, ...]


def _l1a_block(store: str, gipps: GippSet, detector: int, name: str, what: Kind, block_info: Any = None) -> np.ndarray:
    first, last = block_info[None]["array-location"][0]
    image = l1a_lines(store, gipps, detector, name, first, last)
    return image.counts if what == "img" else image.quality


def l1a_array(store: str, gipps: GippSet, name: str, detector: int, what: Kind = "img") -> xr.DataArray:
    """Return the raw counts of a band and detector, or their quality layer.

    Parameters
    ----------
    store : str
        L0 or L1A store.
    gipps : GippSet
    name : str
        Band.
    detector : int
    what : {"img", "mask"}

    Returns
    -------
    (line, raw_column) uint16 [LSB]
    """
    b, scenes = band(name), strip_facts(store).scenes
    image = da.map_blocks(
        _l1a_block, store, gipps, detector, name, what,
        chunks=((b.lines_per_scene,) * scenes, (b.raw_columns,)), dtype=np.dtype("uint16"),
        meta=np.empty((0, 0), "uint16"),
        name=f"DECOMP-D{detector:02d}-{name}-{tokenize(store, gipps.id, detector, name, what)}",
    )  # fmt: skip
    return xr.DataArray(image, dims=("line", "raw_column"), name=name.lower(), attrs={"units": "digital_counts"})


def _l1b_block(
    store: str, gipps: GippSet | None, detector: int, name: str, until: str | None, only: Steps | None, what: Kind,
    block_info: Any = None,
) -> np.ndarray:  # fmt: skip
    first, last = block_info[None]["array-location"][0]
    if gipps is None:
        counts, quality = StripSource(store).read(detector, name, first, last)
        return counts if what == "img" else quality
    image = process_scene(store, gipps, detector, (name,), first // band(name).lines_per_scene, until, only)[name]
    if isinstance(image, np.ndarray):
        return image
    return image.counts if what == "img" else image.quality


def l1b_array(
    store: str,
    gipps: GippSet | None,
    name: str,
    detector: int,
    until: str | None = None,
    what: Kind = "img",
    only: Steps | None = None,
) -> xr.DataArray:
    """Return the L1B counts of a band and detector, their quality layer, or an intermediate of them.

    Parameters
    ----------
    store : str
        L0 or L1A store; an L1B store when it is only to be read.
    gipps : GippSet or None
        None: read.
    name : str
        Band.
    detector : int
    until : str, optional
        Name of an intermediate step.
    what : {"img", "mask"}
    only : tuple of str, optional
        The steps to do; every one by default.

    Returns
    -------
    (line, column) uint16 [DN], or float32 [LSB] with `until`
    """
    b, scenes = band(name), strip_facts(store).scenes
    columns = b.columns
    if until == "dark_signal":
        columns = b.raw_columns
    elif until not in (None, "binning") or (only is not None and "binning" not in only):
        columns = b.useful_columns
    dtype = np.dtype("uint16" if until is None else "float32")
    made_of = (store, None if gipps is None else gipps.id, detector, name, until, only, what)
    image = da.map_blocks(
        _l1b_block, store, gipps, detector, name, until, only, what,
        chunks=((b.lines_per_scene,) * scenes, (columns,)), dtype=dtype, meta=np.empty((0, 0), dtype),
        name=f"{'OPEN' if gipps is None else 'RADIO_AB'}-D{detector:02d}-{name}-{tokenize(*made_of)}",
    )  # fmt: skip
    return xr.DataArray(image, dims=("line", "column"), name=name.lower())
