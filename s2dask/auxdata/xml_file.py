"""Untrusted XML: no entities, no document type, no network, bounded size; a refusal is a line that names the file."""

from pathlib import Path
from typing import Final

from lxml import etree

from s2dask.errors import InputError, InputMissing

MAX_BYTES: Final = 200_000_000
"""The largest real metadata file has some 10 MB."""
_AGAIN: Final = "fetch the file again"


def parse_xml(path: Path) -> etree._Element:
    """Return the root element of an untrusted XML file."""
    if not path.is_file():
        raise InputMissing("no such file", str(path))
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path.stat().st_size} bytes, which no real file has", path.name, "the file is refused")
    return parse_bytes(path.read_bytes(), path.name)


def parse_bytes(content: bytes, name: str) -> etree._Element:
    """Return the root element of an untrusted XML text.

    Parameters
    ----------
    content : bytes
    name : str
        File, for messages.
    """
    if not content.strip():
        raise InputError("the file is empty", name, _AGAIN)
    if b"\0" in content:
        # UTF-16 and UTF-32 would hide a document type from the next test
        raise InputError("no XML in UTF-8 or a one-byte encoding", name, _AGAIN)
    # before the parser sees it: entities in attributes are expanded whatever the parser is told
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise InputError("a document type is declared", name, "metadata never has one: the file is refused")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        reason = str(error.msg or error).splitlines()[0]
        raise InputError(f"no well-formed XML: {reason}", name, _AGAIN) from None


def local_name(element: etree._Element) -> str:
    """Return the tag of an element without its namespace."""
    return str(etree.QName(element).localname)
