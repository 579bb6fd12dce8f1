"""Sheets on paper: A4 pages of PDF, the drawings as vectors. Needs the extra ``report`` (reportlab)."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from s2dask.errors import ConfigurationError
from s2dask.qc.drawing import Dot, Drawing, Line
from s2dask.qc.sheet import Block, Command, Grid, Heading, Paragraph, Sheet

try:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable, KeepTogether, SimpleDocTemplate, Spacer, Table
    from reportlab.platypus import Paragraph as Text
except ImportError as error:
    raise ConfigurationError(
        "PDF needs reportlab", "s2dask.qc", "pip install 's2dask[report]', or go without PDF"
    ) from error

_MARGIN = 50.0
_PADDING = 6.0
_WIDTH = A4[0] - 2.0 * (_MARGIN + _PADDING)
_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=12.5, textColor="#1d2733")
_QUIET = ParagraphStyle("quiet", _BODY, textColor="#57606a")
_ALARM = ParagraphStyle("alarm", _BODY, textColor="#b3261e", fontName="Helvetica-Bold", keepWithNext=1)
_TONES = {"plain": _BODY, "quiet": _QUIET, "alarm": _ALARM}
_TITLE = ParagraphStyle("title", _BODY, fontName="Helvetica-Bold", fontSize=17, leading=22)
_H1 = ParagraphStyle("h1", _TITLE, fontSize=13, leading=17, spaceBefore=16, spaceAfter=3, keepWithNext=1)
_H2 = ParagraphStyle("h2", _H1, fontSize=10, leading=13, spaceBefore=9, spaceAfter=2)
_HEADINGS = {1: _H1, 2: _H2}
_CODE = ParagraphStyle("code", _BODY, fontName="Courier", fontSize=7, leading=9, backColor="#f2f5f8", borderPadding=3)
_CELL = ParagraphStyle("cell", _BODY, fontSize=7.2, leading=9, splitLongWords=True, wordWrap="CJK")
_HEAD = ParagraphStyle("head", _CELL, fontName="Helvetica-Bold")


def _latin(text: str) -> str:
    """Return text in the characters that the built-in fonts have."""
    return text.encode("latin-1", "replace").decode("latin-1")


class _Chart(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A drawing in the flow of a page, as wide as the text."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self.drawing = drawing
        self.scale = _WIDTH / drawing.width
        self.width, self.height = _WIDTH, drawing.height * self.scale

    def draw(self) -> None:
        """Put the marks on the page, whose y grows upwards."""
        canvas: Any = self.canv
        canvas.saveState()
        canvas.translate(0.0, self.height)
        canvas.scale(self.scale, -self.scale)
        for mark in self.drawing.marks:
            if isinstance(mark, Line):
                self._line(canvas, mark)
            elif isinstance(mark, Dot):
                canvas.setStrokeColor(mark.colour)
                canvas.setFillColor(mark.colour)
                canvas.setLineWidth(1.4)
                canvas.circle(mark.x, mark.y, mark.radius, stroke=int(mark.hollow), fill=int(not mark.hollow))
            else:
                canvas.saveState()
                canvas.translate(mark.x, mark.y)
                canvas.scale(1.0, -1.0)
                canvas.setFillColor(mark.colour)
                canvas.setFont("Helvetica", mark.size)
                put = {"start": canvas.drawString, "middle": canvas.drawCentredString, "end": canvas.drawRightString}
                put[mark.anchor](0.0, 0.0, _latin(mark.text))
                canvas.restoreState()
        canvas.restoreState()

    @staticmethod
    def _line(canvas: Any, mark: Line) -> None:
        path = canvas.beginPath()
        path.moveTo(*mark.points[0])
        for point in mark.points[1:]:
            path.lineTo(*point)
        if mark.filled:
            path.close()
        canvas.setStrokeColor(mark.colour)
        canvas.setFillColor(mark.colour)
        canvas.setLineWidth(mark.width)
        canvas.drawPath(path, stroke=int(not mark.filled), fill=int(mark.filled))


def _table(grid: Grid) -> Table:
    weights = list(grid.weights) or [1.0] * len(grid.header)
    widths = [_WIDTH * weight / sum(weights) for weight in weights]

    def cells(row: Sequence[str], style: ParagraphStyle) -> list[Any]:
        return [Text(escape(_latin(c)), style) if i < grid.words else _latin(c) for i, c in enumerate(row)]

    rows = [cells(grid.header, _HEAD), *(cells(row, _CELL) for row in grid.rows)]
    table = Table(rows, colWidths=widths, repeatRows=1, hAlign="LEFT", spaceBefore=3, spaceAfter=3)
    table.setStyle(
        [
            ("FONT", (0, 0), (-1, -1), "Helvetica", 7.2),
            ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 7.2),
            ("ALIGN", (grid.words, 0), (-1, -1), "RIGHT"),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#d5dde5")),
            ("TOPPADDING", (0, 0), (-1, -1), 1.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.8),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 5),
        ]
    )
    return table


def _flow(block: Block) -> list[Any]:
    if isinstance(block, Heading):
        return [Text(escape(_latin(block.text)), _HEADINGS[block.rank])]
    if isinstance(block, Paragraph):
        return [Text(escape(_latin(block.text)), _TONES[block.tone])]
    if isinstance(block, Command):
        text = escape(_latin(block.text)).replace("\n", "<br/>")
        return [Spacer(1, 4), Text(text, _CODE), Spacer(1, 5)]
    if isinstance(block, Grid):
        return [_table(block)]
    return [Spacer(1, 4), _Chart(block)]


def _story(sheet: Sheet) -> Iterator[Any]:
    """Yield what flows over the pages; a heading stays with what follows it."""
    yield Text(escape(_latin(sheet.title)), _TITLE)
    yield Text(escape(_latin(sheet.subtitle)), _QUIET)
    waiting: list[Any] = []
    for block in sheet.blocks:
        waiting += _flow(block)
        if isinstance(block, Command | Drawing):
            yield KeepTogether(waiting)
        elif isinstance(block, Grid):
            yield from waiting
        else:
            continue
        waiting = []
    yield from waiting


def pdf(sheet: Sheet) -> bytes:
    """Return a sheet as a PDF document, the same bytes for the same sheet."""
    buffer = BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN + 10,
        title=sheet.title,
        author="s2dask",
        invariant=1,
    )

    def foot(canvas: Canvas, made: SimpleDocTemplate) -> None:
        canvas.setFont("Helvetica", 7.5)
        canvas.setFillColor("#57606a")
        canvas.drawString(_MARGIN + _PADDING, 34, _latin(sheet.title))
        canvas.drawRightString(A4[0] - _MARGIN - _PADDING, 34, f"page {made.page}")

    document.build(list(_story(sheet)), onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()
