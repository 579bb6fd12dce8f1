"""Drawings as marks on a sheet: the chart of a trend, and the same marks as SVG for a page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

import numpy as np

from s2dask.qc.trend import Trend

INK, MUTED, GRID, BLUE, RED, SHADE, BAND = "#1d2733", "#57606a", "#dfe5ec", "#1f6feb", "#c1121f", "#eef1f4", "#dbe9ff"
_LEFT, _RIGHT, _TOP, _BOTTOM = 74.0, 16.0, 30.0, 34.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points (x, y), or the area that they enclose."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.0
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot; hollow ones are rings. ``title`` appears on the page under the pointer."""

    x: float
    y: float
    radius: float
    colour: str
    title: str = ""
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; ``anchor`` is start, middle or end."""

    x: float
    y: float
    text: str
    size: float = 11.0
    colour: str = MUTED
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Drawing:
    """Marks on a sheet, drawn in their order; y grows downwards [points].

    Attributes
    ----------
    width, height : float
    title : str
        For those who cannot see it.
    marks : tuple of Line, Dot or Text
    """

    width: float
    height: float
    title: str
    marks: tuple[Line | Dot | Text, ...]


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where values and times lie on the sheet."""

    width: float
    height: float
    first: datetime
    last: datetime
    low: float
    high: float

    def x(self, time: datetime) -> float:
        """Return the abscissa of a time."""
        return _LEFT + (self.width - _LEFT - _RIGHT) * ((time - self.first) / (self.last - self.first))

    def y(self, value: float) -> float:
        """Return the ordinate of a value, kept on the sheet."""
        inside = float(np.clip((value - self.low) / (self.high - self.low), 0.0, 1.0))
        return self.height - _BOTTOM - (self.height - _TOP - _BOTTOM) * inside


def round_steps(low: float, high: float, most: int = 5) -> np.ndarray:
    """Return (n) float64 round numbers within a range, at most ``most`` of them.

    Parameters
    ----------
    low, high : float
    most : int
    """
    raw = (high - low) / most
    unit = 10.0 ** np.floor(np.log10(raw))
    step = next(unit * m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if unit * m >= raw)
    return np.asarray(np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step) + 0.0


def _axes(trend: Trend, width: float, height: float) -> _Axes:
    times, values = trend.series.times, trend.series.values
    spread = [float(values.min()), float(values.max())]
    if trend.reference is not None and trend.chart is not None:
        reach = float(trend.chart.ewma_limit.max(initial=0.0)) * trend.reference.sigma
        spread += [trend.reference.mean - reach, trend.reference.mean + reach]
    low, high = min(spread), max(spread)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    last = times[-1] if times[-1] > times[0] else times[0] + timedelta(days=1)
    return _Axes(width, height, times[0], last, low - margin, high + margin)


def _frame(axes: _Axes) -> Iterator[Line | Text]:
    for value in round_steps(axes.low, axes.high):
        y = axes.y(float(value))
        yield Line(((_LEFT, y), (axes.width - _RIGHT, y)), GRID, 0.7)
        yield Text(_LEFT - 6, y + 4, f"{value:.6g}", anchor="end")
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        time = axes.first + share * (axes.last - axes.first)
        yield Text(axes.x(time), axes.height - _BOTTOM + 18, f"{time:%Y-%m-%d}", anchor=anchor)


def _limits(trend: Trend, axes: _Axes) -> Iterator[Line | Text]:
    """Yield the shade behind the baseline, its mean, the band of the EWMA and the EWMA."""
    if trend.reference is None or trend.chart is None:
        return
    times, mean, sigma = trend.series.times, trend.reference.mean, trend.reference.sigma
    left, right, top, bottom = _LEFT, axes.x(times[trend.baseline - 1]), _TOP, axes.height - _BOTTOM
    yield Line(((left, top), (right, top), (right, bottom), (left, bottom)), SHADE, filled=True)
    yield Text(left + 5, top + 14, f"baseline, {trend.reference.products} products")
    after, chart = times[trend.baseline :], trend.chart
    if after:
        upper = [(axes.x(t), axes.y(mean + sigma * c)) for t, c in zip(after, chart.ewma_limit, strict=True)]
        lower = [(axes.x(t), axes.y(mean - sigma * c)) for t, c in zip(after, chart.ewma_limit, strict=True)]
        yield Line((*upper, *reversed(lower)), BAND, filled=True)
    yield Line(((_LEFT, axes.y(mean)), (axes.width - _RIGHT, axes.y(mean))), MUTED, 0.8)
    if len(after) > 1:
        path = tuple((axes.x(t), axes.y(mean + sigma * w)) for t, w in zip(after, chart.ewma, strict=True))
        yield Line(path, BLUE, 1.6)


def trend_drawing(trend: Trend, width: float = 760.0, height: float = 230.0, marked: Sequence[str] = ()) -> Drawing:
    """Return the chart of a trend: products, EWMA in its band, and rings around products that are out.

    Parameters
    ----------
    trend : Trend
        Of one product or more.
    width, height : float
        [points]
    marked : sequence of str
        Lines that stand at the right above the chart.
    """
    axes = _axes(trend, width, height)
    marks: list[Line | Dot | Text] = [*_limits(trend, axes), *_frame(axes)]
    marks.append(Text(_LEFT, 18, str(trend.series.key), 12.5, INK))
    marks += [Text(width - _RIGHT, 18 + 13 * i, text, anchor="end") for i, text in enumerate(marked)]
    out = set() if trend.chart is None else {trend.baseline + int(i) for i in np.flatnonzero(trend.chart.out)}
    told = zip(trend.series.products, trend.series.times, trend.series.values, strict=True)
    for i, (product, time, value) in enumerate(told):
        title = f"{product.name}: {value:.6g}"
        marks.append(Dot(axes.x(time), axes.y(float(value)), 2.0, MUTED if i < trend.baseline else INK, title))
        if i in out:
            marks.append(Dot(axes.x(time), axes.y(float(value)), 4.6, RED, hollow=True))
    return Drawing(width, height, f"{trend.series.key}: {len(trend.series.values)} products", tuple(marks))


def _svg_mark(mark: Line | Dot | Text) -> str:
    if isinstance(mark, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in mark.points)
        if mark.filled:
            return f'<polygon points="{points}" fill="{mark.colour}"/>'
        return f'<polyline points="{points}" fill="none" stroke="{mark.colour}" stroke-width="{mark.width}"/>'
    if isinstance(mark, Dot):
        paint = f'fill="none" stroke="{mark.colour}" stroke-width="1.4"' if mark.hollow else f'fill="{mark.colour}"'
        title = f"<title>{escape(mark.title)}</title>" if mark.title else ""
        return f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{mark.radius}" {paint}>{title}</circle>'
    return (
        f'<text x="{mark.x:.1f}" y="{mark.y:.1f}" font-size="{mark.size}" fill="{mark.colour}" '
        f'text-anchor="{mark.anchor}">{escape(mark.text)}</text>'
    )


def svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG element of a page."""
    body = "".join(_svg_mark(mark) for mark in drawing.marks)
    return (
        f'<svg viewBox="0 0 {drawing.width:g} {drawing.height:g}" role="img" aria-label="{escape(drawing.title)}" '
        f'font-family="system-ui,sans-serif">{body}</svg>'
    )
