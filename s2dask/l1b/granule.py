"""The granule: from the raw lines of the bands of one detector to coded counts and quality."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import (
    ANC_DEGRADED,
    ANC_LOST,
    DETECTOR_SHIFT,
    MSI_DEGRADED,
    PARTIALLY_CORRECTED,
    SATURATED,
    SATURATED_L1B,
)
from s2dask.l1b.coding import code, flag_end_of_range
from s2dask.l1b.crosstalk import flag_leak, remove_leak
from s2dask.l1b.defective_pixels import flag_defective, replace_defective
from s2dask.l1b.parameters import BandParameters, RadiometricParameters
from s2dask.l1b.raw_lines import RawLines, offset_free, raw_saturation
from s2dask.l1b.single_pass import TOGETHER, Chain, Workspace, correct_group
from s2dask.l1b.statistics import band_statistics
from s2dask.l1b.step_by_step import INTERMEDIATES, intermediate

BLOCK_PIXELS: Final = 46_000
"""Pixels that go through the steps together: some 0.4 MB of lines, flags and product."""


@dataclass(frozen=True, slots=True, eq=False)
class GranuleBand:
    """One band of a granule.

    Attributes
    ----------
    counts : (line, column) uint16 [DN]
    quality : (line, column) uint16
        `s2dask.instrument.quality` bits and the detector.
    """

    counts: NDArray[np.uint16]
    quality: NDArray[np.uint16]

    def statistics(self) -> dict[str, float]:
        """Return the numbers that quality control keeps of this band."""
        return band_statistics(self.counts, self.quality)


def sources(parameters: RadiometricParameters, bands: Collection[str]) -> tuple[str, ...]:
    """Return the bands that must be decoded to correct some bands: these and all that leak into them.

    Parameters
    ----------
    parameters : RadiometricParameters
        Of the bands asked for and of those that leak into them; a source that it does not hold is left out, and what
        it leaks into is flagged as partially corrected.
    bands : collection of str

    Returns
    -------
    tuple of str
        In the order of the bands.
    """
    leaks = parameters.leaks
    return tuple(
        name
        for name, b in BANDS.items()
        if name in parameters.bands and (name in bands or any(leaks[band(v).index, b.index] for v in bands))
    )


def margins(parameters: RadiometricParameters) -> dict[str, int]:
    """Return the lines that each band needs before and after a window for a result that no cut can change.

    Notes
    -----
    A band looks as far as its missing lines, its re-arrangement and its binning do; a band that leaks into others must
    be there as far as they look: a line of B10 takes its crosstalk from three lines of B11 and B12. Windows of bands
    that leak into each other must cover the same time: lines ``3 a`` to ``3 b`` of B11 and B12 for ``a`` to ``b`` of
    B10.
    """
    leaks, out = parameters.leaks, {}
    for name, p in parameters.bands.items():
        factor, index = band(name).line_factor, band(name).index
        periods = [
            other.margin * band(victim).line_factor
            for victim, other in parameters.bands.items()
            if leaks[band(victim).index, index]
        ]
        out[name] = max([p.margin, *(-(-period // factor) for period in periods)])
    return out


def _raw_lines(
    name: str, first_line: int, lines: NDArray[np.uint16], bad: NDArray[np.bool_], parameters: RadiometricParameters
) -> RawLines:
    b, p = band(name), parameters.bands[name]
    if lines.ndim != 2 or lines.shape[1] != b.raw_columns or lines.dtype != np.uint16:
        raise ConfigurationError(f"raw lines of shape {lines.shape} and type {lines.dtype}", name)
    if bad.shape != lines.shape[:1]:
        raise ConfigurationError(f"{bad.size} line flags for {lines.shape[0]} lines", name)
    # Read-only views: one compiled form of the kernels serves arrays of any origin.
    values, flags = np.ascontiguousarray(lines).view(), np.ascontiguousarray(bad, np.bool_).view()
    values.setflags(write=False)
    flags.setflags(write=False)
    return RawLines(
        values, flags, first_line, b.line_factor, p.dark, p.blind, b.blind, b.useful_columns, parameters.saturation
    )


def _line_bits(
    name: str,
    lines: int,
    base: int,
    degraded: NDArray[np.bool_] | None,
    ancillary: NDArray[np.uint8] | None,
) -> NDArray[np.uint16]:
    bits = np.full(lines, base, np.uint16)
    for what, values in (("degraded", degraded), ("ancillary", ancillary)):
        if values is not None and np.shape(values) != (lines,):
            raise ConfigurationError(f"{np.size(values)} {what} flags for {lines} lines", name)
    if degraded is not None:
        bits[np.asarray(degraded, np.bool_)] |= MSI_DEGRADED
    if ancillary is not None:
        bits |= np.asarray(ancillary, np.uint16) & np.uint16(ANC_LOST | ANC_DEGRADED)
    return bits


def _chain(
    name: str, group: Sequence[str], raw: RawLines, line_bits: NDArray[np.uint16], parameters: RadiometricParameters
) -> Chain:
    p, leaks = parameters.bands[name], parameters.leaks[band(name).index]
    return Chain(
        raw,
        line_bits,
        np.array([leaks[band(other).index] for other in group], np.float64),
        p.model,
        p.response,
        p.arrangement,
        p.defects,
        p.binning,
        parameters.shift,
        p.missing_lines,
        parameters.end_of_range,
    )


Room = tuple[NDArray[np.float32], NDArray[np.uint16]]
"""Lines and their flags: (line, useful_column)."""


def _room(lines: int, columns: int) -> Room:
    return np.empty((lines, columns), np.float32), np.empty((lines, columns), np.uint16)


def _workspace(name: str, parameters: RadiometricParameters, lines: int, block: int, free: Room) -> Workspace:
    """Return the room that a band needs; `lines` of the product, `block` lines of 60 m at a time."""
    p, useful = parameters.bands[name], band(name).useful_columns
    inside = 6 * block // band(name).line_factor
    moved = inside + 2 * (p.binning.shape[0] // 2) if p.arrangement.size else 0
    binned = (inside if p.binning.size else 0, p.columns)
    return Workspace(
        *free,
        *_room(inside + 2 * p.reach, useful),
        *_room(moved, useful),
        np.empty(binned, np.float32),
        np.empty(binned, np.uint16),
        np.empty((lines, p.columns), np.uint16),
        np.empty((lines, p.columns), np.uint16),
    )


def _groups(names: Sequence[str], parameters: RadiometricParameters) -> list[tuple[str, ...]]:
    """Return the bands in groups that leak into each other, directly or through others."""
    groups: list[set[str]] = []
    leaks = parameters.leaks
    for name in names:
        i = band(name).index
        met = [g for g in groups if any(leaks[i, band(o).index] or leaks[band(o).index, i] for o in g)]
        groups = [g for g in groups if g not in met] + [{name}.union(*met)]
    return [tuple(name for name in BANDS if name in group) for group in groups]


def _block(names: Sequence[str]) -> int:
    """Return the lines of 60 m of some bands that fit into the cache together."""
    per_line = sum(band(n).useful_columns * 6 // band(n).line_factor for n in names)
    return max(1, BLOCK_PIXELS // per_line)


def _together(
    group: Sequence[str],
    chains: Mapping[str, Chain],
    ranges: Mapping[str, tuple[int, int]],
    parameters: RadiometricParameters,
) -> dict[str, Workspace]:
    """Correct up to `TOGETHER` bands that leak into each other in one pass."""
    block = _block(group)
    margin = margins(parameters)
    works = {}
    for n in group:
        lines = 0 if len(group) == 1 else 6 * block // band(n).line_factor + 2 * margin[n] + 4
        free = _room(lines, band(n).useful_columns)
        works[n] = _workspace(n, parameters, ranges[n][1] - ranges[n][0], block, free)
    passed = [_for_the_pass(chains[n], parameters.bands[n]) for n in group]
    windows = [[chain.raw.first_line + i for i in ranges[n]] for n, chain in zip(group, passed, strict=True)]
    rooms = list(works.values())
    while 1 < len(passed) < TOGETHER:
        passed.append(passed[0])
        rooms.append(rooms[0])
        windows.append([windows[0][0]] * 2)
    leaks = [np.pad(chain.leaks, (0, len(passed) - len(group))) for chain in passed]
    filled = tuple(chain._replace(leaks=values) for chain, values in zip(passed, leaks, strict=True))
    correct_group(filled, tuple(rooms), np.array(windows, np.int64), block)
    return works


def _one_by_one(
    group: Sequence[str],
    chains: Mapping[str, Chain],
    ranges: Mapping[str, tuple[int, int]],
    parameters: RadiometricParameters,
) -> dict[str, Workspace]:
    """Correct any number of bands that leak into each other: what is free of offsets is kept of all of them."""
    free = {}
    for n in group:
        raw = chains[n].raw
        free[n] = _room(raw.bad.size, raw.useful)
        offset_free(raw, 0, raw.bad.size, free[n][0])
        raw_saturation(raw, 0, raw.bad.size, SATURATED, free[n][1])
        replace_defective(free[n][0], chains[n].defects)
        flag_defective(free[n][1], chains[n].defects, 0)
    works = {}
    for n in group:
        chain, (start, stop), block = chains[n], ranges[n], _block([n])
        image, full = free[n][0].copy(), free[n][1].copy()
        line, factor = chain.raw.first_line, chain.raw.factor
        works[n] = _workspace(n, parameters, stop - start, block, (image, full))
        if start == stop:
            continue
        for other, leak in zip(group, chain.leaks, strict=True):
            if leak != 0:
                (values, flags), s = free[other], chains[other].raw
                remove_leak(image, line, factor, values, s.bad, s.first_line, s.factor, leak)
                bits = SATURATED, PARTIALLY_CORRECTED
                flag_leak(full, line, factor, flags, s.bad, s.first_line, s.factor, *bits)
        window = np.array([[line + start, line + stop]], np.int64)
        alone = _for_the_pass(chain, parameters.bands[n])._replace(leaks=np.zeros(1))
        correct_group((alone,), (works[n],), window, block)
    return works


def _for_the_pass(chain: Chain, p: BandParameters) -> Chain:
    """Return the chain; of a band that is restored, the end of the range is that of the restored image."""
    return chain if p.restoration is None else chain._replace(end_of_range=np.inf)


def _run(
    group: Sequence[str],
    chains: Mapping[str, Chain],
    ranges: Mapping[str, tuple[int, int]],
    parameters: RadiometricParameters,
) -> dict[str, GranuleBand]:
    works = (_together if len(group) <= TOGETHER else _one_by_one)(group, chains, ranges, parameters)
    members = [chains[n] for n in group]
    for n, work in works.items():
        plan = parameters.bands[n].restoration
        if plan is not None and work.counts.size:
            image = intermediate(chains[n], members, plan, INTERMEDIATES[-1], *ranges[n])
            code(image, parameters.shift, work.counts)
            if np.isfinite(parameters.end_of_range):
                flag_end_of_range(image, parameters.end_of_range, SATURATED_L1B, work.quality)
    return {n: GranuleBand(work.counts, work.quality) for n, work in works.items()}


@overload
def process_granule(
    detector: int,
    first_line: Mapping[str, int],
    lines: Mapping[str, NDArray[np.uint16]],
    bad: Mapping[str, NDArray[np.bool_]],
    parameters: RadiometricParameters,
    until: None = None,
    *,
    window: Mapping[str, tuple[int, int]] | None = None,
    degraded: Mapping[str, NDArray[np.bool_]] | None = None,
    ancillary: Mapping[str, NDArray[np.uint8]] | None = None,
    only: Collection[str] | None = None,
) -> dict[str, GranuleBand]: ...


@overload
def process_granule(
    detector: int,
    first_line: Mapping[str, int],
    lines: Mapping[str, NDArray[np.uint16]],
    bad: Mapping[str, NDArray[np.bool_]],
    parameters: RadiometricParameters,
    until: str,
    *,
    window: Mapping[str, tuple[int, int]] | None = None,
    degraded: Mapping[str, NDArray[np.bool_]] | None = None,
    ancillary: Mapping[str, NDArray[np.uint8]] | None = None,
    only: Collection[str] | None = None,
) -> dict[str, NDArray[np.float32]]: ...


def process_granule(
    detector: int,
    first_line: Mapping[str, int],
    lines: Mapping[str, NDArray[np.uint16]],
    bad: Mapping[str, NDArray[np.bool_]],
    parameters: RadiometricParameters,
    until: str | None = None,
    *,
    window: Mapping[str, tuple[int, int]] | None = None,
    degraded: Mapping[str, NDArray[np.bool_]] | None = None,
    ancillary: Mapping[str, NDArray[np.uint8]] | None = None,
    only: Collection[str] | None = None,
) -> dict[str, GranuleBand] | dict[str, NDArray[np.float32]]:
    """Correct the bands of one detector.

    Parameters
    ----------
    detector : int
        1 to 12.
    first_line : mapping of str to int
        Absolute number of the first line of each band, counted from the start of the datatake: it sets the phase of
        the chronogram and pairs the lines of bands that leak into each other.
    lines : mapping of str to (line, raw_column) uint16 [LSB]
        Raw lines of any of the bands, with their `margins`. One of the `sources` that is not there leaves its
        crosstalk in the others, which are flagged as partially corrected.
    bad : mapping of str to (line) bool
        Lines without usable counts.
    parameters : RadiometricParameters
        Of this detector.
    until : str, optional
        One of `step_by_step.INTERMEDIATES`: its image is returned [LSB], instead of the finished granule.
    window : mapping of str to (int, int), optional
        Absolute lines to return, first and last + 1, of the bands to return; everything by default. The other lines and
        bands only serve as neighbours and crosstalk sources.
    degraded : mapping of str to (line) bool, optional
        Lines kept from degraded packets, which are flagged.
    ancillary : mapping of str to (line) uint8, optional
        `quality.ANC_LOST` or `quality.ANC_DEGRADED` of the lines whose ancillary data are lost or degraded.
    only : collection of str, optional
        The steps to do, of `parameters.STEPS`; every one by default. Without ``binning`` the 60 m bands keep all their
        columns, which an L1B store cannot hold.

    Returns
    -------
    dict of str to GranuleBand, or to (line, column) float32 [LSB] with `until`
    """
    if detector != parameters.detector:
        raise ConfigurationError(f"parameters of detector {parameters.detector}", f"D{detector:02d}")
    strangers = [name for name in (*lines, *(window or {})) if name not in lines or name not in parameters.bands]
    if strangers:
        raise ConfigurationError(f"no lines or no parameters of {', '.join(strangers)}", f"D{detector:02d}")
    parameters = parameters if only is None else parameters.only(only)
    raw = {name: _raw_lines(name, first_line[name], lines[name], bad[name], parameters) for name in lines}
    targets = tuple(raw if window is None else window)
    needed = [name for name in sources(parameters, targets) if name in raw]
    ranges = {name: _range(name, raw[name], window) if name in targets else (0, 0) for name in needed}
    found: dict[str, GranuleBand] = {}
    images: dict[str, NDArray[np.float32]] = {}
    for group in _groups(needed, parameters):
        chains = {}
        for name in group:
            base = detector << DETECTOR_SHIFT | (PARTIALLY_CORRECTED if _incomplete(name, group, parameters) else 0)
            bits = _line_bits(name, raw[name].bad.size, base, (degraded or {}).get(name), (ancillary or {}).get(name))
            chains[name] = _chain(name, group, raw[name], bits, parameters)
        if until is None:
            found |= _run(group, chains, ranges, parameters)
            continue
        members = [chains[name] for name in group]
        for name in (name for name in group if name in targets):
            plan = parameters.bands[name].restoration
            images[name] = intermediate(chains[name], members, plan, until, *ranges[name])
    if until is None:
        return {name: found[name] for name in targets}
    return {name: images[name] for name in targets}


def _incomplete(name: str, there: Sequence[str], parameters: RadiometricParameters) -> bool:
    """Return whether a band that leaks into one is not there."""
    leaks = parameters.leaks[band(name).index]
    return any(leaks[b.index] and other not in there for other, b in BANDS.items())


def _range(name: str, raw: RawLines, window: Mapping[str, tuple[int, int]] | None) -> tuple[int, int]:
    if window is None:
        return 0, raw.bad.size
    start, stop = (line - raw.first_line for line in window[name])
    if not 0 <= start <= stop <= raw.bad.size:
        raise ConfigurationError(f"window {window[name]} outside the lines given", name)
    return start, stop
