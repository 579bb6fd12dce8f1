"""The digest of a delivered product: over its pixels alone, so that two runs that made the same compare equal."""

import hashlib
import re
from typing import Final

from s2dask.io.object_store import patiently
from s2dask.production.ledger import Product
from s2dask.production.work import Made
from s2dask.release.publish import files_of

_MOMENT: Final = re.compile(r"\d{8}T\d{6}")
_PIXELS: Final = re.compile(r".*(\.jp2|\.bin|/c(/\d+)+)")
"""JPEG 2000 images, source packets, chunks of Zarr."""
_TEXT: Final = "/conditions/datastrip/metadata/c/"
"""The metadata of the datastrip, which say when they were made, are an array of a Zarr."""


def product_of(made: Made, baseline: str) -> Product:
    """Return what the ledger keeps of a product, from the manifest of its delivery.

    Parameters
    ----------
    made : Made
    baseline : str
    """
    files, within = patiently(lambda: files_of(made.url), made.url), f"{made.url.rsplit('/', 1)[-1]}/"
    mine = [file for file in files if str(file["path"]).startswith(within)]
    pixels = sorted(
        (_MOMENT.sub("", str(file["path"]).removeprefix(within)), str(file["sha256"]))
        for file in mine
        if _PIXELS.fullmatch(str(file["path"])) and _TEXT not in str(file["path"])
    )
    digest = hashlib.sha256("\n".join(f"{name} {value}" for name, value in pixels).encode()).hexdigest()
    return Product(made.name, made.level, made.tile, made.url, digest, sum(int(f["bytes"]) for f in mine), baseline)
