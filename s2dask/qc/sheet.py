"""Sheets: a document as headings, paragraphs, commands, tables and drawings, and the page that shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment

from s2dask.qc.drawing import Drawing, svg


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; rank 1 is the title of a section, rank 2 that of a figure."""

    text: str
    rank: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; ``tone`` is plain, quiet or alarm."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that makes again what stands above it."""

    text: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes
    ----------
    header : sequence of str
    rows : sequence of sequence of str
    words : int
        Columns at the left that hold words; the others hold numbers.
    weights : sequence of float
        Of the widths of the columns on paper; empty: all alike.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    weights: Sequence[float] = ()


Block = Heading | Paragraph | Command | Grid | Drawing


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document.

    Attributes
    ----------
    title, subtitle : str
    blocks : sequence of Block
    """

    title: str
    subtitle: str
    blocks: Sequence[Block]


def number(value: float | None, digits: int = 5) -> str:
    """Return a number for a table; a dash for none."""
    return "-" if value is None else f"{value:.{digits}g}"


def html(sheet: Sheet) -> str:
    """Return a sheet as one HTML page that needs no other file."""
    template = files("s2dask.qc").joinpath("data/sheet.html.j2").read_text("utf-8")
    kinds = [(type(block).__name__, svg(block) if isinstance(block, Drawing) else block) for block in sheet.blocks]
    return Environment(autoescape=True, trim_blocks=True).from_string(template).render(sheet=sheet, blocks=kinds)
