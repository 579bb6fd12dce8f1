"""The metadata document of the datastrip that a tile comes from, which travels with the tile.

It is the mission's own XML, of L1B or L1C: what of it the SAFE of a tile needs is the same in both. A store holds it as
bytes, so that its orbit and attitude cost nothing to who opens the images.
"""

from typing import Final

import numpy as np
import zarr
from lxml import etree

from s2dask.errors import InputError
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_l0_metadata import plain
from s2dask.io.storage import zarr_store
from s2dask.io.template import add_variable
from s2dask.io.variables import VariableSpec, spec
from s2dask.io.writer import write_whole

DATASTRIP: Final = "conditions/datastrip/metadata"
"""Variable with the document, (byte,) uint8."""


def parse_document(text: bytes, where: str) -> etree._Element:
    """Return the root of a document without namespaces and comments."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return plain(etree.fromstring(text, parser))
    except etree.XMLSyntaxError as error:
        raise InputError(f"not well-formed XML ({error})", f"{where} {DATASTRIP}", "make the tile again") from error


def read_document(url: str) -> bytes | None:
    """Return the document that a store holds, if it does."""
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r", use_consolidated=False)
    array = group.get(DATASTRIP)
    return np.asarray(array[...], np.uint8).tobytes() if isinstance(array, zarr.Array) else None


def archived_document(archive: SafeArchive) -> bytes | None:
    """Return the document that a SAFE of L1B, L1C or L2A holds, if it does."""
    found = archive.matching(["DATASTRIP/*/MTD_DS.xml", "*_MTD_L1B_DS_*.xml", "DATASTRIP/*/*_MTD_L*_DS_*.xml"])
    return archive.read(found[0]) if found else None


def document_spec(size: int) -> VariableSpec:
    """Return the variable of a document of so many bytes."""
    return spec("byte", (size,), "uint8", "metadata of the datastrip, XML in UTF-8")


def write_document(url: str, text: bytes) -> None:
    """Put a document into a store; one that is there is replaced."""
    add_variable(url, DATASTRIP, document_spec(len(text)))
    write_whole(url, DATASTRIP, np.frombuffer(text, np.uint8))
