"""Where a ray first meets the ground, coming from above.

A ray is followed in longitude, latitude and height as cubics of the distance, which are right to a millimetre over the
stretch for which they are made. Blocks of the terrain whose highest post it passes over are skipped; in the others it
goes from one square of four posts to the next, and the crossing of each square is a quadratic equation. What is found
is corrected on the true ray. A result depends on nothing but its ray and the terrain: not on its neighbours.
"""

import math

import numpy as np

from s2dask.auxdata.relief import (
    BLOCK,
    BLOCK_COLUMNS,
    BLOCK_OFFSET,
    COLUMNS,
    NORTH,
    OFFSET,
    PER_LAT,
    PER_LON,
    ROWS,
    WEST,
    ellipsoidal_height,
    find_cell,
    undulation,
)
from s2dask.geometry.ellipsoid import E2 as _E2
from s2dask.geometry.ellipsoid import A as _A
from s2dask.geometry.ellipsoid import enter_shell, geodetic, latitude
from s2dask.kernels import bare_kernel

_DEGREE = 180.0 / math.pi
TOP = 9100.0
"""Every ray is followed from this height on [m], or from that of the terrain where it is higher: never from a height
that depends on the other points of a call."""
HIT, MISS, NO_TERRAIN = 0, 1, 2
_STRETCH = 3000.0
"""Way over ground for which the cubics of a ray are made [m]."""
_BLOCKS = 128
"""Blocks that are looked at together at most."""
_LEVEL = 1.0
"""What the geoid may rise between two places above the higher of them [m]."""
_CLOSE = 1e-2
"""Height above the ground from which a linear step reaches it [m]."""


@bare_kernel
def _expand(position, ray, k, way):  # type: ignore[no-untyped-def]
    """Write the cubics (3, 4) of longitude, latitude [deg], height [m] around distance k; return how far they hold."""
    x, y, z = position[0] + k * ray[0], position[1] + k * ray[1], position[2] + k * ray[2]
    p = max(math.sqrt(x * x + y * y), 1e-3)
    sl, cl = latitude(p, z)
    co, so, ip = x / p, y / p, 1.0 / p
    w = math.sqrt(1.0 - _E2 * sl * sl)
    n, h = _A / w, p * cl + z * sl - _A * w
    rn, rm = n + h, n * (1.0 - _E2) / (w * w) + h
    irn, irm = 1.0 / rn, 1.0 / rm
    out = co * ray[0] + so * ray[1]
    east = co * ray[1] - so * ray[0]
    north = cl * ray[2] - sl * out
    up = sl * ray[2] + cl * out
    slope = sl / max(cl, 1e-9)
    way[0, 0] = math.atan2(y, x) * _DEGREE
    way[0, 1] = east * ip * _DEGREE
    way[0, 2] = -east * out * ip * ip * _DEGREE
    way[0, 3] = east * (out * out - east * east / 3.0) * ip * ip * ip * _DEGREE
    way[1, 0] = math.atan2(sl, cl) * _DEGREE
    way[1, 1] = north * irm * _DEGREE
    way[1, 2] = -(0.5 * east * east * slope * irn + north * up * irm) * irm * _DEGREE
    way[1, 3] = (north * (up * up - north * north / 3.0) + east * east * slope * up) * irm * irm * irm * _DEGREE
    way[2, 0] = h
    way[2, 1] = up
    way[2, 2] = 0.5 * (east * east * irn + north * north * irm)
    way[2, 3] = -0.5 * up * (east * east + north * north) * irn * irm
    level = max(math.sqrt(east * east + north * north), 1e-9)
    return min(min(_STRETCH, 0.002 * p + 1.0) / level, 2e4)


@bare_kernel
def _at(way, axis, k):  # type: ignore[no-untyped-def]
    return way[axis, 0] + k * (way[axis, 1] + k * (way[axis, 2] + k * way[axis, 3]))


@bare_kernel
def _rate(way, axis, k):  # type: ignore[no-untyped-def]
    return way[axis, 1] + k * (2.0 * way[axis, 2] + 3.0 * k * way[axis, 3])


@bare_kernel
def _reach(x, rate, low, high):  # type: ignore[no-untyped-def]
    """Return the distance after which a coordinate leaves an interval."""
    if rate > 0.0:
        return (high - x) / rate
    if rate < 0.0:
        return (low - x) / rate
    return np.inf


@bare_kernel
def _first_root(f0, fm, f1):  # type: ignore[no-untyped-def]
    """Return the first zero in 0..1 of the parabola through three equidistant values, and its slope; NaN if none."""
    a, b = 2.0 * (f0 + f1 - 2.0 * fm), 4.0 * fm - 3.0 * f0 - f1
    if f0 <= 0.0:
        return 0.0, b
    if f1 > 0.0 and not (a > 0.0 and 0.0 < -b < 2.0 * a):
        return np.nan, b
    disc = b * b - 4.0 * a * f0
    if disc < 0.0:
        return np.nan, b
    u = 2.0 * f0 / (math.sqrt(disc) - b)
    return u, b + 2.0 * a * u


@bare_kernel
def _exact(position, ray, k, relief):  # type: ignore[no-untyped-def]
    """Return longitude, latitude [deg], height, and height above the ground, at distance k along the true ray."""
    lon, lat, h = geodetic(position[0] + k * ray[0], position[1] + k * ray[1], position[2] + k * ray[2])
    lon, lat = lon * _DEGREE, lat * _DEGREE
    return lon, lat, h, h - ellipsoidal_height(relief, lon, lat)


@bare_kernel
def _bracket(position, ray, k0, k1, relief):  # type: ignore[no-untyped-def]
    """Return the crossing between a distance above the ground and one below it, by halving."""
    for _ in range(60):
        k = 0.5 * (k0 + k1)
        _lon, _lat, _h, f = _exact(position, ray, k, relief)
        if f > 0.0:
            k0 = k
        else:
            k1 = k
    lon, lat, h, _f = _exact(position, ray, k1, relief)
    return lon, lat, h


@bare_kernel
def _settle(position, ray, base, k, slope, span, relief, way):  # type: ignore[no-untyped-def]
    """Return the crossing near distance base + k, the height above ground changing by `slope` per metre there."""
    for _ in range(6):
        lon, lat, h, f = _exact(position, ray, base + k, relief)
        if not slope < 0.0 or not abs(f) < -slope * (span + 1.0):
            break
        if abs(f) < _CLOSE:
            # so near, the ray is a straight line; the ground may still have an edge in between
            for _ in range(8):
                step = -f / slope
                k += step
                lon, lat, h = lon + step * _rate(way, 0, k), lat + step * _rate(way, 1, k), h + step * _rate(way, 2, k)
                f = h - ellipsoidal_height(relief, lon, lat)
                if abs(f) < 1e-7:
                    return lon, lat, h
            break
        k -= f / slope
    low, high = base + k, base + k
    for grow in range(12):
        width = 0.01 * 3.0**grow
        if _exact(position, ray, low, relief)[3] <= 0.0:
            low -= width
        if _exact(position, ray, high, relief)[3] > 0.0:
            high += width
    if _exact(position, ray, low, relief)[3] <= 0.0 or not _exact(position, ray, high, relief)[3] <= 0.0:
        lon, lat, h, _f = _exact(position, ray, base + k, relief)
        return lon, lat, h
    return _bracket(position, ray, low, high, relief)


@bare_kernel
def _leave_gap(relief, lon, lat, way, k):  # type: ignore[no-untyped-def]
    """Return the distance until a ray over a place without a cell may meet one: it leaves the degree box, or enters."""
    rx, ry = _rate(way, 0, k), _rate(way, 1, k)
    x0, y0 = math.floor(lon), math.floor(lat)
    far = min(_reach(lon, rx, x0, x0 + 1.0), _reach(lat, ry, y0, y0 + 1.0))
    box = min(max(int(y0 + 90.0), 0), 179) * 360 + int(math.floor(lon + 180.0)) % 360
    for m in range(relief.start[box], relief.start[box + 1]):
        cell = relief.member[m]
        dx, dy = 1.0 / relief.cells[cell, PER_LON], 1.0 / relief.cells[cell, PER_LAT]
        wide, tall = (relief.cells[cell, COLUMNS] - 2.0) * dx, (relief.cells[cell, ROWS] - 2.0) * dy
        west, north = relief.cells[cell, WEST] + 0.5 * dx, relief.cells[cell, NORTH] - 0.5 * dy
        west += 360.0 * math.floor((lon - west + 180.0) / 360.0)
        if wide > 180.0 and lon < west:
            west -= 360.0
        ax, bx = (west - lon) / rx if rx != 0.0 else -np.inf, (west + wide - lon) / rx if rx != 0.0 else np.inf
        ay, by = (north - tall - lat) / ry if ry != 0.0 else -np.inf, (north - lat) / ry if ry != 0.0 else np.inf
        if (rx == 0.0 and not west <= lon <= west + wide) or (ry == 0.0 and not north - tall <= lat <= north):
            continue
        enter, leave = max(min(ax, bx), min(ay, by)), min(max(ax, bx), max(ay, by))
        if enter <= leave and enter > 0.0:
            far = min(far, enter)
    return far


@bare_kernel
def _cross_gap(relief, way, k, far, hit):  # type: ignore[no-untyped-def]
    """Search the crossing with the level of a place without a cell, from k to far; write distance, slope, span."""
    f0 = _at(way, 2, k) - relief.missing - undulation(relief, _at(way, 0, k), _at(way, 1, k))
    middle = 0.5 * (k + far)
    fm = _at(way, 2, middle) - relief.missing - undulation(relief, _at(way, 0, middle), _at(way, 1, middle))
    f1 = _at(way, 2, far) - relief.missing - undulation(relief, _at(way, 0, far), _at(way, 1, far))
    u, slope = _first_root(f0, fm, f1)
    if u == u:
        hit[0], hit[1], hit[2] = k + u * (far - k), slope / (far - k), far - k
        return HIT
    return MISS


@bare_kernel
def _cross_squares(relief, index, way, k, far, level, rise, hit):  # type: ignore[no-untyped-def]
    """Search the crossing inside a block, square by square, from k to far; the geoid is `level` at k and rises."""
    columns, first = int(relief.cells[index, COLUMNS]), int(relief.cells[index, OFFSET])
    last_column, last_row = columns - 2, int(relief.cells[index, ROWS]) - 2
    per_lon, per_lat = relief.cells[index, PER_LON], relief.cells[index, PER_LAT]
    west, top = relief.cells[index, WEST], relief.cells[index, NORTH]
    west += 360.0 * math.floor((_at(way, 0, k) - west) / 360.0)
    begin = k
    for _ in range(8 * BLOCK):
        x, y = (_at(way, 0, k) - west) * per_lon, (top - _at(way, 1, k)) * per_lat
        rx, ry = _rate(way, 0, k) * per_lon, -_rate(way, 1, k) * per_lat
        i, j = min(max(int(x + 1e-7 * np.sign(rx)), 0), last_column), min(max(int(y + 1e-7 * np.sign(ry)), 0), last_row)
        step = min(_reach(x, rx, float(i), i + 1.0), _reach(y, ry, float(j), j + 1.0))
        end = min(k + max(step, 1e-3), far)
        at = first + j * columns + i
        nw, ne = relief.posts[at], relief.posts[at + 1]
        sw, se = relief.posts[at + columns], relief.posts[at + columns + 1]
        ramp, east, south, twist = level - rise * begin + nw, ne - nw, sw - nw, nw - ne - sw + se
        u, v = x - i, y - j
        f0 = _at(way, 2, k) - (ramp + rise * k + east * u + (south + twist * u) * v)
        half = 0.5 * (k + end)
        u, v = (_at(way, 0, half) - west) * per_lon - i, (top - _at(way, 1, half)) * per_lat - j
        fm = _at(way, 2, half) - (ramp + rise * half + east * u + (south + twist * u) * v)
        u, v = (_at(way, 0, end) - west) * per_lon - i, (top - _at(way, 1, end)) * per_lat - j
        f1 = _at(way, 2, end) - (ramp + rise * end + east * u + (south + twist * u) * v)
        if not (f0 == f0 and fm == fm and f1 == f1):
            hit[0] = k
            return NO_TERRAIN
        u, slope = _first_root(f0, fm, f1)
        if u == u:
            hit[0], hit[1], hit[2] = k + u * (end - k), slope / (end - k), end - k
            return HIT
        if end >= far:
            break
        k = end
    return MISS


@bare_kernel
def _descend(relief, index, way, k, reach):  # type: ignore[no-untyped-def]
    """Return a distance, from k on, at which a ray inside a cell is still above all ground that it may meet.

    The blocks between the ray's place and the place where it would reach the lowest ground give the highest post; the
    ray comes down to it, and again, for then fewer blocks lie between.
    """
    lowest, rate = -600.0, _rate(way, 2, k)
    per_lon, per_lat = relief.cells[index, PER_LON], relief.cells[index, PER_LAT]
    west, top = relief.cells[index, WEST], relief.cells[index, NORTH]
    west += 360.0 * math.floor((_at(way, 0, k) - west) / 360.0)
    right, lower = relief.cells[index, COLUMNS] - 1.5, relief.cells[index, ROWS] - 1.5
    first, columns = int(relief.cells[index, BLOCK_OFFSET]), int(relief.cells[index, BLOCK_COLUMNS])
    for _ in range(2):
        # the height is convex in the distance: at the rate of now it would be reached too early
        end = k + 1.05 * (_at(way, 2, k) - lowest) / -rate
        if not k < end <= reach:
            break
        x0, x1 = (_at(way, 0, k) - west) * per_lon, (_at(way, 0, end) - west) * per_lon
        y0, y1 = (top - _at(way, 1, k)) * per_lat, (top - _at(way, 1, end)) * per_lat
        x0, x1, y0, y1 = min(x0, x1) - 0.01, max(x0, x1) + 0.01, min(y0, y1) - 0.01, max(y0, y1) + 0.01
        if x0 < 0.5 or y0 < 0.5 or x1 > right or y1 > lower:
            break
        i0, i1, j0, j1 = int(x0) // BLOCK, int(x1) // BLOCK, int(y0) // BLOCK, int(y1) // BLOCK
        if (i1 - i0 + 1) * (j1 - j0 + 1) > _BLOCKS:
            break
        high = -np.inf
        for j in range(j0, j1 + 1):
            for i in range(i0, i1 + 1):
                value = relief.highs[first + j * columns + i]
                high = value if not value <= high else high
        high += _LEVEL + max(
            undulation(relief, _at(way, 0, k), _at(way, 1, k)), undulation(relief, _at(way, 0, end), _at(way, 1, end))
        )
        below = k + (_at(way, 2, k) - high) / -rate
        if not below > k:
            break
        k = min(below, end)
    return k


@bare_kernel
def _cross_block(relief, index, x, y, way, k, reach, hit):  # type: ignore[no-untyped-def]
    """Search the crossing in the block that the ray is over at distance k; write where it leaves it to `hit[3]`."""
    column, row = int(x) // BLOCK, int(y) // BLOCK
    rx, ry = _rate(way, 0, k) * relief.cells[index, PER_LON], -_rate(way, 1, k) * relief.cells[index, PER_LAT]
    step = min(
        _reach(x, rx, max(BLOCK * column, 0.5), min(BLOCK * (column + 1.0), relief.cells[index, COLUMNS] - 1.5)),
        _reach(y, ry, max(BLOCK * row, 0.5), min(BLOCK * (row + 1.0), relief.cells[index, ROWS] - 1.5)),
    )
    far = min(k + max(step, 1e-3), reach)
    hit[3] = far
    high = relief.highs[int(relief.cells[index, BLOCK_OFFSET]) + row * int(relief.cells[index, BLOCK_COLUMNS]) + column]
    here = undulation(relief, _at(way, 0, k), _at(way, 1, k))
    there = undulation(relief, _at(way, 0, far), _at(way, 1, far))
    bound = high + max(here, there) + _LEVEL
    height, rate = _at(way, 2, k), _rate(way, 2, k)
    lowest = min(height, _at(way, 2, far))
    if rate < 0.0 < _rate(way, 2, far):
        lowest = _at(way, 2, min(-0.5 * way[2, 1] / way[2, 2], far))
    if lowest > bound:
        return MISS
    begin = k
    if rate < 0.0 and height > bound:
        # the height is convex in the distance: at its first rate the ray is not yet down there
        begin = min(k + (height - bound) / -rate, far)
    rise = (there - here) / (far - k)
    return _cross_squares(relief, index, way, begin, far, here + rise * (begin - k), rise, hit)


@bare_kernel
def first_crossing(position, ray, relief, top, way, hit):  # type: ignore[no-untyped-def]  # noqa: C901 - one walk
    """Return longitude, latitude [deg], height [m] of the first crossing of a ray with the ground, and what it was.

    Parameters
    ----------
    position, ray : (3) float64
        ITRF [m]; unit vector.
    relief : Relief
    top : float
        No ground is above [m].
    way : (3, 4) float64
        Work space.
    hit : (4) float64
        Work space.

    Returns
    -------
    lon, lat, h, outcome
        HIT; MISS, all NaN; or NO_TERRAIN, with the place where the terrain is missing.
    """
    base, leave = enter_shell(position, ray, top)
    if not base > 0.0:
        return np.nan, np.nan, np.nan, MISS
    k = 0.0
    reach = _expand(position, ray, base, way)
    for _ in range(100_000):
        if k >= reach:
            base += k
            k = 0.0
            reach = _expand(position, ray, base, way)
        if base + k > leave:
            break
        lon, lat = _at(way, 0, k), _at(way, 1, k)
        index, x, y = find_cell(relief, lon, lat)
        if index >= 0 and k == 0.0:
            k = _descend(relief, index, way, k, reach)
            if k > 0.0:
                continue
        if index >= 0:
            outcome = _cross_block(relief, index, x, y, way, k, reach, hit)
        elif relief.missing == relief.missing:
            hit[3] = min(k + max(_leave_gap(relief, lon, lat, way, k), 1e-3), reach)
            outcome = _cross_gap(relief, way, k, hit[3], hit)
        else:
            return lon, lat, np.nan, NO_TERRAIN
        if outcome == NO_TERRAIN:
            return _at(way, 0, hit[0]), _at(way, 1, hit[0]), np.nan, NO_TERRAIN
        if outcome == HIT:
            lon, lat, h = _settle(position, ray, base, hit[0], hit[1], hit[2], relief, way)
            return lon - 360.0 * math.floor((lon + 180.0) / 360.0), lat, h, HIT
        k = hit[3]
    return np.nan, np.nan, np.nan, MISS
