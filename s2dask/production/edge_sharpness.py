"""How sharp the images of a product are: the modulation transfer of each band from the straight edges of its ground."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from s2dask.errors import InputError
from s2dask.instrument import band
from s2dask.io.tiles import TileReader, open_tile
from s2dask.l1c.edge_transfer import ROWS, edge_transfers, median_transfer
from s2dask.qc.collect import collect
from s2dask.qc.indicators import Indicator
from s2dask.qc.store import append

SQUARE: Final = 100 * ROWS
"""Edge of what is read at a time [px]."""
WITHOUT: Final = ("B10",)
"""Bands that see no ground."""
ORIGIN: Final = "mtf"
"""Of the indicators in the store: they stand beside those of the processor."""


def _edges(tile: TileReader, name: str) -> tuple[list[float], list[float]]:
    """Return the transfers of the edges of a band, across and along the track."""
    rows, columns = tile.grid.shape(band(name).resolution)
    across, along = list[float](), list[float]()
    for top in range(0, rows, SQUARE):
        for left in range(0, columns, SQUARE):
            image = tile.reflectance(
                name, slice(top, min(top + SQUARE, rows)), slice(left, min(left + SQUARE, columns))
            )
            across += edge_transfers(image)
            along += edge_transfers(image.T)
    return across, along


def measure_transfer(product: str, bands: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Return the modulation transfer at the Nyquist frequency of the bands of an L1C product.

    Parameters
    ----------
    product : str
        Zarr of s2dask, or SAFE, folder or zip.
    bands : sequence of str
        Default: all but B10.

    Returns
    -------
    dict of str to dict
        By band: ``mtf_nyquist``, the median of all edges, its standard error ``mtf_error`` and their number
        ``mtf_edges``; ``mtf_across`` and ``mtf_along``, of edges that run down the columns and along the rows of the
        tile, which lie some ten degrees from the track. What too few edges tell is left out, bands among it.
    """
    tile = open_tile(product)
    missing = [name for name in bands if name not in tile.bands]
    if missing:
        raise InputError(f"no band {', '.join(missing)}", product, f"it has {', '.join(tile.bands)}")
    out: dict[str, dict[str, float]] = {}
    for name in bands or [name for name in tile.bands if name not in WITHOUT]:
        across, along = _edges(tile, name)
        whole = median_transfer(np.array([*across, *along]))
        if whole is None:
            continue
        out[name] = {"mtf_nyquist": whole.value, "mtf_error": whole.error, "mtf_edges": float(whole.edges)}
        for what, values in (("mtf_across", across), ("mtf_along", along)):
            if (found := median_transfer(np.array(values))) is not None:
                out[name][what] = found.value
    return out


def keep_transfer(product: str, found: dict[str, dict[str, float]], store: str) -> str:
    """Add what was measured of a product to a store of indicators, and return the file.

    Parameters
    ----------
    product : str
    found : dict
        See `measure_transfer`.
    store : str
        Folder or URL.
    """
    told = [what for what, *_ in collect(product, pixels=False) if what.tile]
    if not told:
        raise InputError("no tile", product, "give a product of one tile")
    rows = [Indicator(what, round(value, 6), name) for name, each in found.items() for what, value in each.items()]
    return append(store, told[0], rows, ORIGIN)
