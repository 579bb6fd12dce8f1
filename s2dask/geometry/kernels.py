"""Location kernels: the frame of a line, ray against terrain, ground point to line and column."""

import math

import numpy as np

from s2dask.auxdata.terrain import PYRAMID, sample
from s2dask.instrument.earth import EARTH_A, EARTH_F
from s2dask.kernels import inline_kernel, kernel

_A = EARTH_A
_B = EARTH_A * (1.0 - EARTH_F)
_E2 = EARTH_F * (2.0 - EARTH_F)
_EP2 = _E2 / (1.0 - _E2)
_STEP = 0.1
_DEGREE = 180.0 / math.pi
_METRES_PER_TANGENT = 786_000.0


@inline_kernel
def _small_rotation(x, y, z, out):  # type: ignore[no-untyped-def]
    """Write exp([v]x) of a small rotation vector."""
    n = x * x + y * y + z * z
    a = 1.0 - n / 6.0
    b = 0.5 - n / 24.0
    out[0, 0] = 1.0 - b * (y * y + z * z)
    out[0, 1] = -a * z + b * x * y
    out[0, 2] = a * y + b * x * z
    out[1, 0] = a * z + b * x * y
    out[1, 1] = 1.0 - b * (x * x + z * z)
    out[1, 2] = -a * x + b * y * z
    out[2, 0] = -a * y + b * x * z
    out[2, 1] = a * x + b * y * z
    out[2, 2] = 1.0 - b * (x * x + y * y)


@kernel
def _shifted_row(row, d, weight, work, position, body):  # type: ignore[no-untyped-def]
    """Add the state of one table row, shifted by d seconds: ITRF position and body to ITRF matrix."""
    spin, attitude = work[0], work[1]
    _small_rotation(
        row[9] * d + 0.5 * row[12] * d * d, row[10] * d + 0.5 * row[13] * d * d, row[11] * d + 0.5 * row[14] * d * d,
        spin,
    )
    for i in range(3):
        for j in range(3):
            attitude[i, j] = spin[i, 0] * row[18 + j] + spin[i, 1] * row[21 + j] + spin[i, 2] * row[24 + j]
    _small_rotation(row[15] * d, row[16] * d, row[17] * d, spin)
    x = row[0] + row[3] * d + 0.5 * row[6] * d * d
    y = row[1] + row[4] * d + 0.5 * row[7] * d * d
    z = row[2] + row[5] * d + 0.5 * row[8] * d * d
    for i in range(3):
        e0 = spin[i, 0] * row[27] + spin[i, 1] * row[30] + spin[i, 2] * row[33]
        e1 = spin[i, 0] * row[28] + spin[i, 1] * row[31] + spin[i, 2] * row[34]
        e2 = spin[i, 0] * row[29] + spin[i, 1] * row[32] + spin[i, 2] * row[35]
        position[i] += weight * (e0 * x + e1 * y + e2 * z)
        for j in range(3):
            body[i, j] += weight * (e0 * attitude[0, j] + e1 * attitude[1, j] + e2 * attitude[2, j])


@kernel
def _polynomial(c, t):  # type: ignore[no-untyped-def]
    value = 0.0
    for k in range(c.size - 1, -1, -1):
        value = value * t + c[k]
    return value


@kernel
def line_frame(t, table, angles, centre, smooth, work, position, m):  # type: ignore[no-untyped-def]
    """Write the ITRF position of the satellite and the MSI to ITRF matrix at t seconds after the table's start.

    ``smooth`` blends the two neighbouring rows; else the nearest row alone is shifted, as the reference model does.
    ``angles`` holds polynomials (4, degree + 1): x, y, z rotation piloting to MSI [rad] and the Z homothety [1].
    """
    body = work[2]
    for i in range(3):
        position[i] = 0.0
        for j in range(3):
            body[i, j] = 0.0
    last = table.shape[0] - 1
    if smooth:
        k = min(max(int(math.floor(t / _STEP)), 0), last - 1)
        d = t - _STEP * k
        u = min(max(d / _STEP, 0.0), 1.0)
        w = u * u * (3.0 - 2.0 * u)
        _shifted_row(table[k], d, 1.0 - w, work, position, body)
        _shifted_row(table[k + 1], d - _STEP, w, work, position, body)
    else:
        k = min(max(int(math.floor(t / _STEP + 0.5)), 0), last)
        _shifted_row(table[k], t - _STEP * k, 1.0, work, position, body)
    dt = t - centre
    ax, ay, az = -_polynomial(angles[0], dt), -_polynomial(angles[1], dt), -_polynomial(angles[2], dt)
    h = 1.0 + _polynomial(angles[3], dt)
    cx, sx, cy, sy, cz, sz = math.cos(ax), math.sin(ax), math.cos(ay), math.sin(ay), math.cos(az), math.sin(az)
    q00, q01, q02 = cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy
    q10, q11, q12 = sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy
    q20, q21, q22 = -cx * sy * h, sx * h, cx * cy * h
    for i in range(3):
        m[i, 0] = body[i, 0] * q00 + body[i, 1] * q10 + body[i, 2] * q20
        m[i, 1] = body[i, 0] * q01 + body[i, 1] * q11 + body[i, 2] * q21
        m[i, 2] = body[i, 0] * q02 + body[i, 1] * q12 + body[i, 2] * q22


@kernel
def geodetic(x, y, z):  # type: ignore[no-untyped-def]
    """Return longitude, latitude [rad], height [m] of an ITRF point, to 1e-9 m under 20 km (Bowring, twice)."""
    p = math.sqrt(x * x + y * y)
    u = math.atan2(z * _A, p * _B)
    su, cu = math.sin(u), math.cos(u)
    lat = math.atan2(z + _EP2 * _B * su * su * su, p - _E2 * _A * cu * cu * cu)
    u = math.atan2(_B * math.sin(lat), _A * math.cos(lat))
    su, cu = math.sin(u), math.cos(u)
    lat = math.atan2(z + _EP2 * _B * su * su * su, p - _E2 * _A * cu * cu * cu)
    sl, cl = math.sin(lat), math.cos(lat)
    return math.atan2(y, x), lat, p * cl + z * sl - _A * math.sqrt(1.0 - _E2 * sl * sl)


@kernel
def _enter_shell(position, ray, h):  # type: ignore[no-untyped-def]
    """Return the distance along a ray to the ellipsoid raised by h [m]; NaN when it misses."""
    ia, ib = 1.0 / (_A + h), 1.0 / (_B + h)
    px, py, pz = position[0] * ia, position[1] * ia, position[2] * ib
    lx, ly, lz = ray[0] * ia, ray[1] * ia, ray[2] * ib
    a = lx * lx + ly * ly + lz * lz
    b = px * lx + py * ly + pz * lz
    disc = b * b - a * (px * px + py * py + pz * pz - 1.0)
    if disc < 0.0:
        return np.nan
    return (-b - math.sqrt(disc)) / a


@kernel
def _above(position, ray, k, frame, heights):  # type: ignore[no-untyped-def]
    """Return longitude, latitude [degree], height, and height above the terrain, at distance k along a ray."""
    lon, lat, h = geodetic(position[0] + k * ray[0], position[1] + k * ray[1], position[2] + k * ray[2])
    lon, lat = lon * _DEGREE, lat * _DEGREE
    return lon, lat, h, h - sample(lon, lat, frame, heights)


@kernel
def _local_maximum(lon, lat, frame, maxima, top):  # type: ignore[no-untyped-def]
    i = int((frame[1] - lat) / frame[3]) // PYRAMID
    j = int((lon - frame[0]) / frame[2]) // PYRAMID
    if 0 <= i < maxima.shape[0] and 0 <= j < maxima.shape[1]:
        return min(float(maxima[i, j]), top)
    return top


@kernel
def _start(position, ray, frame, heights, maxima, top):  # type: ignore[no-untyped-def]
    """Return the distance at which the ray is still above the terrain, found by lowering local upper bounds."""
    k = _enter_shell(position, ray, top)
    bound = top
    for _ in range(8):
        if not math.isfinite(k):
            return k
        lon, lat, _h, _f = _above(position, ray, k, frame, heights)
        local = _local_maximum(lon, lat, frame, maxima, top)
        # the bound of a cell holds one pyramid cell around it: lower only while the walk stays inside
        if local >= bound - 1.0:
            return k
        reach = PYRAMID * frame[3] * 111_000.0 * 0.9
        lower = max(local, bound - reach * 4.0)
        bound = lower
        k = _enter_shell(position, ray, bound)
    return k


@kernel
def _refine(position, ray, k0, f0, k1, f1, frame, heights):  # type: ignore[no-untyped-def]
    """Return the crossing between two distances of opposite sign (Illinois)."""
    lon = lat = h = np.nan
    for _ in range(60):
        k = k0 + (k1 - k0) * f0 / (f0 - f1)
        lon, lat, h, f = _above(position, ray, k, frame, heights)
        if abs(f) < 1e-7:
            break
        if f > 0.0:
            k0, f0, f1 = k, f, 0.5 * f1
        else:
            k1, f1, f0 = k, f, 0.5 * f0
    return lon, lat, h


@kernel
def intersect(position, ray, frame, heights, maxima, top, bottom):  # type: ignore[no-untyped-def]
    """Return longitude, latitude [degree], height [m] of the first crossing of a ray with the terrain, NaN if none."""
    k0 = _start(position, ray, frame, heights, maxima, top)
    if not math.isfinite(k0):
        return np.nan, np.nan, np.nan
    lon, lat, _h, f0 = _above(position, ray, k0, frame, heights)
    if not math.isfinite(f0):
        return np.nan, np.nan, np.nan
    if f0 < 0.0:
        k0 = _enter_shell(position, ray, top)
        lon, lat, _h, f0 = _above(position, ray, k0, frame, heights)
    rlon, rlat = lon / _DEGREE, lat / _DEGREE
    cosz = -(
        ray[0] * math.cos(rlat) * math.cos(rlon) + ray[1] * math.cos(rlat) * math.sin(rlon) + ray[2] * math.sin(rlat)
    )
    if cosz < 0.05:
        return np.nan, np.nan, np.nan
    tanz = math.sqrt(max(1.0 - cosz * cosz, 1e-12)) / cosz
    drop = max(0.6 * frame[3] * 111_000.0 / tanz, 5.0)
    k1, f1 = k0, f0
    for _ in range(int((top - bottom) / drop) + 80):
        k1 = k0 + ((f1 + 0.5) if f1 < drop else drop) / cosz
        lon, lat, _h, f1 = _above(position, ray, k1, frame, heights)
        if not math.isfinite(f1):
            return np.nan, np.nan, np.nan
        if f1 <= 0.0:
            return _refine(position, ray, k0, f0, k1, f1, frame, heights)
        k0, f0 = k1, f1
    return np.nan, np.nan, np.nan


@kernel
def direct(line, column, los, timing, table, angles, smooth, frame, heights, maxima, top, bottom):  # type: ignore[no-untyped-def]
    """Return (n, 3) longitude, latitude [degree], height [m] of image points.

    Timing is the date of line 0, the line step and the centre.
    """
    out = np.empty((line.size, 3))
    position, m, work, ray = np.empty(3), np.empty((3, 3)), np.empty((3, 3, 3)), np.empty(3)
    last, size = np.nan, los.shape[0]
    for q in range(line.size):
        if line[q] != last:
            line_frame(timing[0] + line[q] * timing[1], table, angles, timing[2], smooth, work, position, m)
            last = line[q]
        i = min(max(int(math.floor(column[q])), 0), size - 2)
        u = column[q] - i
        x = los[i, 0] * (1.0 - u) + los[i + 1, 0] * u
        y = los[i, 1] * (1.0 - u) + los[i + 1, 1] * u
        z = los[i, 2] * (1.0 - u) + los[i + 1, 2] * u
        norm = 0.0
        for c in range(3):
            ray[c] = m[c, 0] * x + m[c, 1] * y + m[c, 2] * z
            norm += ray[c] * ray[c]
        norm = 1.0 / math.sqrt(norm)
        for c in range(3):
            ray[c] *= norm
        out[q, 0], out[q, 1], out[q, 2] = intersect(position, ray, frame, heights, maxima, top, bottom)
    return out


@kernel
def _column_of(c, column, across):  # type: ignore[no-untyped-def]
    """Return the fractional column whose across-track tangent is c, searched from a first guess."""
    size = across.size
    for _ in range(6):
        i = min(max(int(math.floor(column)), 0), size - 2)
        found = i + (c - across[i]) / (across[i + 1] - across[i])
        if abs(found - column) < 1e-9:
            return found
        column = found
    return column


@kernel
def inverse(lon, lat, h, across, along, timing, table, angles, smooth, first, limits):  # type: ignore[no-untyped-def]
    """Return (n, 2) line and column of ground points [degree, degree, m]; NaN outside limits (lines, columns).

    Secant on the line: the target seen from it, in the MSI frame, must lie on the detector's along-track tangent.
    """
    out = np.empty((lon.size, 2))
    position, m, work = np.empty(3), np.empty((3, 3)), np.empty((3, 3, 3))
    size, line = across.size, first
    slope = (across[size - 1] - across[0]) / (size - 1)
    tangent_per_line = 7_000.0 * timing[1] / _METRES_PER_TANGENT
    for q in range(lon.size):
        la, lo = lat[q] / _DEGREE, lon[q] / _DEGREE
        sl, cl = math.sin(la), math.cos(la)
        n = _A / math.sqrt(1.0 - _E2 * sl * sl)
        gx, gy = (n + h[q]) * cl * math.cos(lo), (n + h[q]) * cl * math.sin(lo)
        gz = (n * (1.0 - _E2) + h[q]) * sl
        column, f0, l0, step = 0.0, 0.0, line, np.inf
        for it in range(25):
            line_frame(timing[0] + line * timing[1], table, angles, timing[2], smooth, work, position, m)
            dx, dy, dz = gx - position[0], gy - position[1], gz - position[2]
            # cofactors, not the transpose: the Z homothety makes the matrix non-orthogonal (0.2 m)
            ux = (
                (m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1]) * dx
                + (m[0, 2] * m[2, 1] - m[0, 1] * m[2, 2]) * dy
                + (m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1]) * dz
            )
            uy = (
                (m[1, 2] * m[2, 0] - m[1, 0] * m[2, 2]) * dx
                + (m[0, 0] * m[2, 2] - m[0, 2] * m[2, 0]) * dy
                + (m[0, 2] * m[1, 0] - m[0, 0] * m[1, 2]) * dz
            )
            uz = (
                (m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0]) * dx
                + (m[0, 1] * m[2, 0] - m[0, 0] * m[2, 1]) * dy
                + (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]) * dz
            )
            c = uy / uz
            if it < 2:
                column = min(max((c - across[0]) / slope, -200.0), size + 200.0)
            column = _column_of(c, column, across)
            i = min(max(int(math.floor(column)), 0), size - 2)
            u = column - i
            f = ux / uz - (along[i] * (1.0 - u) + along[i + 1] * u)
            if it == 0:
                step = f / tangent_per_line
            elif f != f0:
                step = -f * (line - l0) / (f - f0)
            else:
                step = 0.0
            l0, f0 = line, f
            step = min(max(step, -3e4), 3e4)
            line += step
            if abs(step) < 1e-8 or not math.isfinite(step):
                break
        good = abs(step) < 1e-5 and limits[0] <= line <= limits[1] and limits[2] <= column <= limits[3]
        out[q, 0] = line if good else np.nan
        out[q, 1] = column if good else np.nan
        if not math.isfinite(line) or abs(step) > 1.0:
            line = first
    return out
