"""Location kernels: image point to ground, ground point to line and column."""

import math

import numpy as np

from s2dask.geometry.ellipsoid import E2 as _E2
from s2dask.geometry.ellipsoid import A as _A
from s2dask.geometry.ellipsoid import enter_shell, geodetic
from s2dask.geometry.ray import NO_TERRAIN, first_crossing
from s2dask.kernels import bare_kernel, kernel

_STEP = 0.1
_DEGREE = 180.0 / math.pi
_OVERLAP = 0.02
"""Part of half an interval by which the lower of two intervals is preferred at their border."""


@bare_kernel
def line_state(t, states, out):  # type: ignore[no-untyped-def]
    """Write position and matrix (12), frame to ITRF, at t seconds after the table's first row; say if t is inside."""
    forward = states.forward
    place = (t - states.first) / _STEP + 0.5
    k = int(math.floor(place))
    if k < 0 or k >= forward.shape[0]:
        # the first and the last date belong to the table, whatever the rounding
        if not -1e-6 < place < forward.shape[0] + 1e-6:
            return False
        k = min(max(k, 0), forward.shape[0] - 1)
    s = 2.0 * (place - k) - 1.0
    terms = forward.shape[1]
    for j in range(12):
        out[j] = forward[k, terms - 1, j]
    for d in range(terms - 2, -1, -1):
        for j in range(12):
            out[j] = out[j] * s + forward[k, d, j]
    return True


@kernel
def positions(t, states):  # type: ignore[no-untyped-def]
    """Return the positions (date, 3) [m] of the satellite in ITRF, NaN outside the table."""
    out, state = np.full((t.size, 3), np.nan), np.empty(12)
    for q in range(t.size):
        if line_state(t[q], states, state):
            out[q, 0], out[q, 1], out[q, 2] = state[0], state[1], state[2]
    return out


@bare_kernel
def _ray(state, los, column, ray):  # type: ignore[no-untyped-def]
    """Write the unit vector in ITRF of a fractional column; the ends of the detector are carried on."""
    size = los.shape[0]
    i = min(max(int(math.floor(column)), 0), size - 2)
    u = column - i
    x = los[i, 0] + u * (los[i + 1, 0] - los[i, 0])
    y = los[i, 1] + u * (los[i + 1, 1] - los[i, 1])
    z = los[i, 2] + u * (los[i + 1, 2] - los[i, 2])
    norm = 0.0
    for c in range(3):
        ray[c] = state[3 + 3 * c] * x + state[4 + 3 * c] * y + state[5 + 3 * c] * z
        norm += ray[c] * ray[c]
    norm = 1.0 / math.sqrt(norm)
    for c in range(3):
        ray[c] *= norm


@kernel
def direct(line, column, los, timing, states, relief, top, beyond):  # type: ignore[no-untyped-def]
    """Return (n, 3) longitude, latitude [degree], height [m] of image points.

    Timing is the date of line 0 and the line step; columns further than `beyond` from the detector are NaN, as is
    all that sees no ground. Where the terrain has no height, the place is given and the height is infinite.
    """
    out = np.full((line.size, 3), np.nan)
    state, ray, way, hit = np.empty(12), np.empty(3), np.empty((3, 4)), np.empty(4)
    last, inside = np.nan, False
    for q in range(line.size):
        if not (math.isfinite(line[q]) and -beyond <= column[q] <= los.shape[0] - 1 + beyond):
            continue
        if line[q] != last:
            last = line[q]
            inside = line_state(timing[0] + last * timing[1], states, state)
        if inside:
            _ray(state, los, column[q], ray)
            lon, lat, h, outcome = first_crossing(state, ray, relief, top, way, hit)
            out[q, 0], out[q, 1], out[q, 2] = lon, lat, (np.inf if outcome == NO_TERRAIN else h)
    return out


@kernel
def at_height(line, column, los, timing, states, height):  # type: ignore[no-untyped-def]
    """Return (n, 2) longitude and latitude [degree] of image points on the ellipsoid raised by a height [m]."""
    out = np.full((line.size, 2), np.nan)
    state, ray = np.empty(12), np.empty(3)
    for q in range(line.size):
        if line_state(timing[0] + line[q] * timing[1], states, state):
            _ray(state, los, column[q], ray)
            k, _leave = enter_shell(state, ray, height)
            if k > 0.0:
                lon, lat, _h = geodetic(state[0] + k * ray[0], state[1] + k * ray[1], state[2] + k * ray[2])
                out[q, 0], out[q, 1] = lon * _DEGREE, lat * _DEGREE
    return out


@bare_kernel
def _column_of(c, across, guess):  # type: ignore[no-untyped-def]
    """Return the fractional column whose across-track tangent is c; `guess` is a cubic in the scaled tangent."""
    size = across.size
    x = min(max((c - guess[4]) * guess[5], -1.0), 1.0)
    i = min(max(int(guess[0] + x * (guess[1] + x * (guess[2] + x * guess[3]))), 0), size - 2)
    column = 0.0
    for _ in range(64):
        column = i + (c - across[i]) / (across[i + 1] - across[i])
        j = min(max(int(math.floor(column)), 0), size - 2)
        if j == i:
            break
        i = j
    return column, i


@bare_kernel
def _miss(u, w, across, along, guess):  # type: ignore[no-untyped-def]
    """Return how far, in time units of w = du/dt, the detector is from seeing a target at u in its frame; column."""
    iz = 1.0 / u[2]
    c, a = u[1] * iz, u[0] * iz
    column, i = _column_of(c, across, guess)
    tilt = (along[i + 1] - along[i]) / (across[i + 1] - across[i])
    f = a - (along[i] + tilt * (c - across[i]))
    rate = ((w[0] - a * w[2]) - tilt * (w[1] - c * w[2])) * iz
    return -f / rate, column


@bare_kernel
def _node(k, g, backward, u, w):  # type: ignore[no-untyped-def]
    """Write the target in the frame in the middle of interval k, and its rate."""
    for i in range(3):
        b, d = backward[k, 0], backward[k, 1]
        u[i] = b[3 + 3 * i] * g[0] + b[4 + 3 * i] * g[1] + b[5 + 3 * i] * g[2] - b[i]
        w[i] = d[3 + 3 * i] * g[0] + d[4 + 3 * i] * g[1] + d[5 + 3 * i] * g[2] - d[i]


@bare_kernel
def _nearest(g, backward, u, w):  # type: ignore[no-untyped-def]
    """Return the interval, of one in 32, at which the satellite is nearest to a target."""
    best, least = 0, np.inf
    for k in range(0, backward.shape[0], 32):
        _node(k, g, backward, u, w)
        square = u[0] * u[0] + u[1] * u[1] + u[2] * u[2]
        if square < least:
            best, least = k, square
    return best


@bare_kernel
def _interval(g, k, backward, across, along, guess, u, w):  # type: ignore[no-untyped-def]
    """Return the interval in which a target is seen, and the place in it (-1 to 1); -1 when there is none.

    The answer does not depend on the interval k at which the search begins: at a border the estimate from the lower
    interval decides.
    """
    count = backward.shape[0]
    for _ in range(40):
        _node(k, g, backward, u, w)
        if not u[2] > 0.0:
            return -1, 0.0
        e, _column = _miss(u, w, across, along, guess)
        if not abs(e) < 1e6:
            return -1, 0.0
        if e > 1.0 + _OVERLAP and k < count - 1:
            k = min(k + max(int(0.5 * (e + 1.0 - _OVERLAP)), 1), count - 1)
        elif e < -1.0 - _OVERLAP and k > 0:
            k = max(k + min(int(math.floor(0.5 * (e + 1.0 + _OVERLAP))), -1), 0)
        elif e < -1.0 + 2.0 * _OVERLAP and k > 0:
            _node(k - 1, g, backward, u, w)
            before, _column = _miss(u, w, across, along, guess)
            if before <= 1.0 + _OVERLAP:
                return k - 1, before
            _node(k, g, backward, u, w)
            return k, e
        else:
            return k, e
    return -1, 0.0


@bare_kernel
def _solve(g, k, s, backward, terms, across, along, guess, u, w):  # type: ignore[no-untyped-def]
    """Return place in interval k and column at which a target is seen (Newton); NaN if there is none near."""
    count = backward.shape[1]
    for d in range(count):
        b = backward[k, d]
        for i in range(3):
            terms[d, i] = b[3 + 3 * i] * g[0] + b[4 + 3 * i] * g[1] + b[5 + 3 * i] * g[2] - b[i]
    column = np.nan
    for _ in range(12):
        for i in range(3):
            u[i], w[i] = terms[count - 1, i], 0.0
        for d in range(count - 2, -1, -1):
            for i in range(3):
                w[i] = w[i] * s + u[i]
                u[i] = u[i] * s + terms[d, i]
        step, column = _miss(u, w, across, along, guess)
        s += step
        if abs(step) < 1e-7:
            # the column moves by less than a thousandth of the line: what is left is below 1e-8
            return s, column
        if not abs(s) < 4.0:
            break
    return np.nan, column


@kernel
def inverse(lon, lat, h, across, along, depth, guess, timing, states, margin):  # type: ignore[no-untyped-def]
    """Return (n, 2) line and column of ground points [degree, degree, m]; NaN where the detector does not look.

    The target seen from the line, in the frame of the focal plane, must lie on the detector's along-track tangent.
    `depth` holds the z components of the lines of sight: a direction mixes two neighbours, not their tangents.
    The search begins where the last one ended, which saves time and leaves the result the same to the bit.
    """
    out = np.full((lon.size, 2), np.nan)
    backward = states.backward
    count, size = backward.shape[0], across.size
    g, u, w, terms = np.empty(3), np.empty(3), np.empty(3), np.empty((backward.shape[1], 3))
    last = count // 2
    for q in range(lon.size):
        la, lo = lat[q] / _DEGREE, lon[q] / _DEGREE
        sl, cl = math.sin(la), math.cos(la)
        n = _A / math.sqrt(1.0 - _E2 * sl * sl)
        g[0], g[1] = (n + h[q]) * cl * math.cos(lo), (n + h[q]) * cl * math.sin(lo)
        g[2] = (n * (1.0 - _E2) + h[q]) * sl
        if not (math.isfinite(g[0]) and math.isfinite(g[2]) and abs(lat[q]) <= 90.0):
            continue
        k, s = _interval(g, last, backward, across, along, guess, u, w)
        # over minutes the search may fail, or run to the wrong end: then it begins where the satellite is nearest
        if k < 0 or (k == 0 and s < -1.0 - _OVERLAP) or (k == count - 1 and s > 1.0 + _OVERLAP):
            k, s = _interval(g, _nearest(g, backward, u, w), backward, across, along, guess, u, w)
        if k < 0 or not u[0] * u[0] + u[1] * u[1] + u[2] * u[2] < states.horizon:
            continue
        last = k
        s, column = _solve(g, k, s, backward, terms, across, along, guess, u, w)
        # each interval answers for itself; a target in a gap, where the frame jumps, is seen at the border
        if s > 1.0 and k < count - 1:
            after, there = _solve(g, k + 1, s - 2.0, backward, terms, across, along, guess, u, w)
            if after >= -1.0:
                k, s, column = k + 1, after, there
            else:
                s = 1.0
        elif s < -1.0 and k > 0:
            before, there = _solve(g, k - 1, s + 2.0, backward, terms, across, along, guess, u, w)
            if before <= 1.0:
                k, s, column = k - 1, before, there
            else:
                s = -1.0
        past = (k == 0 and s < -1.0 - 1e-6) or (k == count - 1 and s > 1.0 + 1e-6)
        if s == s and not past and -margin - 0.5 <= column <= size - 0.5 + margin:
            out[q, 0] = (states.first + _STEP * (k + 0.5 * s) - timing[0]) / timing[1]
            i = min(max(int(math.floor(column)), 0), size - 2)
            v = column - i
            out[q, 1] = i + v * depth[i] / (depth[i + 1] + v * (depth[i] - depth[i + 1]))
    return out
