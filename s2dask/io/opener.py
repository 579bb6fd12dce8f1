"""Openers: a product on disk as a lazy tree."""

import xarray as xr

from s2dask.errors import InputError, InputMissing
from s2dask.io.storage import exists, is_local


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
        return xr.open_datatree(
            url, engine="zarr", chunks={}, consolidated=True, mask_and_scale=decoded, decode_times=False,
            create_default_indexes=False,
        )
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise InputError(f"not a Zarr product ({error})", url, "give a .zarr product") from error


def open_product(url: str) -> xr.DataTree:
    """Open any product lazily: our Zarr of any level, or a real L1C SAFE (folder or zip).

    Reflectance comes out as float with offset and scale applied, never as raw counts by accident.
    """
    if is_local(url) and (url.rstrip("/").endswith((".SAFE", ".zip"))):
        from s2dask.io.safe import open_safe

        return open_safe(url)
    return open_tree(url)
