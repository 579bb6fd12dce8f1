"""Openers: a product on disk as a lazy tree."""

import xarray as xr

from s2dask.errors import InputError, InputMissing
from s2dask.io.eopf_reader import check_coding, decode, is_eopf, tile_facts
from s2dask.io.storage import exists, is_local


def _open_coded(url: str) -> xr.DataTree:
    def opened(consolidated: bool) -> xr.DataTree:
        return xr.open_datatree(
            url,
            engine="zarr",
            chunks={},
            consolidated=consolidated,
            mask_and_scale=False,
            decode_times=False,
            create_default_indexes=False,
        )

    try:
        return opened(True)
    except ValueError:
        return opened(False)


def open_tree(url: str, decoded: bool = True) -> xr.DataTree:
    """Open a Zarr product lazily, every variable chunked as on disk.

    Parameters
    ----------
    url : str
        Local path or fsspec URL.
    decoded : bool
        True: reflectance as float with no data as NaN (CF scale and offset applied); False: the coded integers.
    """
    if not exists(url):
        raise InputMissing("no such product", url, "check the path")
    try:
        tree = _open_coded(url)
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise InputError(f"not a Zarr product ({error})", url, "give a .zarr product") from error
    if not decoded:
        return tree
    check_coding(tree, url)
    return decode(tree)


def open_product(url: str) -> xr.DataTree:
    """Open any product lazily: Zarr of ours at any level, ESA's EOPF Zarr of L1C and L2A, L1C and L2A SAFE.

    Parameters
    ----------
    url : str
        Local path or fsspec URL of a Zarr; ``.SAFE`` folder, or a zip of one.

    Returns
    -------
    xarray.DataTree
        Chunked; reflectance comes out as float with offset and scale applied, never as raw counts by accident. A
        product whose coding is missing or contradicts its own metadata is refused.
    """
    if is_local(url) and (url.rstrip("/").endswith((".SAFE", ".zip"))):
        from s2dask.io.safe import open_safe
        from s2dask.io.safe_l2a import is_l2a, open_safe_l2a

        return open_safe_l2a(url) if is_l2a(url) else open_safe(url)
    tree = open_tree(url)
    if not tile_facts(tree.attrs) and not is_eopf(tree.attrs):
        raise InputError("the Zarr is of another mission or system", url, "give a Sentinel-2 product of ours or EOPF")
    return tree
