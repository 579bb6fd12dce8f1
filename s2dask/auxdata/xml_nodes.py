"""Reading the fields of a product's metadata: what is not there or not what it must be is refused by file and tag."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from lxml import etree

from s2dask.auxdata.xml_file import parse_xml
from s2dask.errors import InputError
from s2dask.instrument import BANDS

_BANDS: Final = tuple(BANDS)


class Nodes:
    """A metadata file: every value is checked where it is read.

    Parameters
    ----------
    root : lxml element
    file : str
        File name, for messages.
    """

    def __init__(self, root: etree._Element, file: str) -> None:
        self.root, self.file = root, file

    @classmethod
    def open(cls, path: Path) -> "Nodes":
        """Parse an untrusted file."""
        return cls(parse_xml(path), path.name)

    def refuse(self, what: str, remedy: str = "the file is refused; fetch it again") -> InputError:
        """Return the error that names this file."""
        return InputError(what, self.file, remedy)

    def text(self, path: str, node: etree._Element | None = None) -> str:
        """Return the text of the first node of a path, from `node` or from the root."""
        value = (self.root if node is None else node).findtext(path)
        if value is None or not value.strip():
            raise self.refuse(f"{path.removeprefix('.//')} is missing")
        return value.strip()

    def numbers(self, path: str, count: int = 1, node: etree._Element | None = None) -> list[float]:
        """Return the text of a node as `count` finite numbers."""
        text = self.text(path, node)
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            values = []
        if len(values) != count or not np.isfinite(values).all():
            raise self.refuse(f"{path.removeprefix('.//')} {text[:60]!r} is not {count} number{'s'[: count > 1]}")
        return values

    def integer(self, text: str | None, low: int, high: int, what: str) -> int:
        """Return a text as an integer within limits; `what` names it."""
        try:
            value = int(text or "")
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise self.refuse(f"{what} {text!r} is not a number from {low} to {high}")
        return value

    def band(self, node: etree._Element) -> str:
        """Return the band of a node; bandId is an index: 2 is B03, 8 is B8A."""
        return _BANDS[self.integer(node.get("bandId"), 0, len(_BANDS) - 1, "bandId")]

    def detector(self, node: etree._Element) -> int:
        """Return the detector of a node."""
        return self.integer(node.get("detectorId"), 1, 12, "detectorId")

    def date(self, path: str, convert: Callable[[str], int], node: etree._Element | None = None) -> int:
        """Return a date, by a function that turns its text into nanoseconds."""
        text = self.text(path, node)
        try:
            return convert(text)
        except InputError:
            raise self.refuse(f"{path.removeprefix('.//')} {text[:40]!r} is not a date") from None
