"""L1B radiometry on one core: the single pass against the same steps in plain NumPy and against copying memory.

    taskset -c 0 python benchmarks/radiometry.py [figures.jsonl]

Each measurement alternates ours, NumPy and memcpy; medians of CPU time are reported. Pixels are the raw ones of all
bands of a case, blind ones included; memory is that of the raw lines and of everything that is made of them.
"""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report

from s2dask.instrument import BANDS, band
from s2dask.l1b.parameters import BandParameters, RadiometricParameters, band_parameters
from s2dask.l1b.relative_response import BILINEAR, CUBIC
from s2dask.l1b.stage import process_granule

DETECTOR, REPEATS = 6, 9
TRIO = ("B10", "B11", "B12")
LEAKS = {("B10", "B11"): -3.98e-3, ("B10", "B12"): -1.78e-3, ("B11", "B10"): -2.82e-5, ("B11", "B12"): -2e-3,
         ("B12", "B10"): -7.94e-4, ("B12", "B11"): -1.78e-4}  # fmt: skip
Images = dict[str, NDArray[np.uint16]]


def _band(name: str, random: np.random.Generator) -> BandParameters:
    b = band(name)
    n = b.raw_columns
    if b.focal_plane == "VNIR":
        response = [random.normal(0, 1e-10, n), random.normal(0, 1e-6, n), random.normal(1, 0.01, n)]
    else:
        response = [random.normal(1, 0.01, n), random.normal(1, 0.01, n), np.full(n, 600.0)]
    return band_parameters(
        name,
        dark=random.normal(450, 3, (b.chronogram_lines, n)),
        blind=b.blind_columns,
        model=CUBIC if b.focal_plane == "VNIR" else BILINEAR,
        response=response,
        defective=tuple(random.choice(np.arange(100, n - 100), 12, replace=False)),
        gain=4.0,
        solar_irradiance=1000.0,
    )


def _offset_free(lines: NDArray[np.uint16], p: BandParameters) -> NDArray[np.float32]:
    b = band(p.name)
    dark = p.dark[np.arange(lines.shape[0]) % p.dark.shape[0]]
    y = lines.astype(np.float32) - dark
    y -= y[:, p.blind].mean(axis=1, keepdims=True)
    useful: NDArray[np.float32] = y[:, b.blind : b.raw_columns - b.blind]
    return useful


def _leak(victim: str, y: NDArray[np.float32], source: str) -> NDArray[np.float32]:
    to, of = band(victim).line_factor, band(source).line_factor
    met: NDArray[np.float32] = np.repeat(y, max(of // to, 1), axis=0)
    return met if to <= of else met.reshape(-1, to // of, y.shape[1]).mean(axis=1, dtype=np.float32)


def _replace(y: NDArray[np.float32], p: BandParameters) -> None:
    d = p.defects
    left, right = (y[:, d.source[:, k]] for k in (0, 1))
    y[:, d.column] = left + d.weight[:, 1] * (right - left)


def numpy_chain(raw: Images, parameters: RadiometricParameters) -> dict[str, tuple[NDArray[np.uint16], ...]]:
    """Make the same correction, one NumPy expression per step, for lines that are all good."""
    y = {name: _offset_free(lines, parameters.bands[name]) for name, lines in raw.items()}
    for name in y if len(y) > 1 else ():
        _replace(y[name], parameters.bands[name])  # sources of crosstalk
    out: dict[str, tuple[NDArray[np.uint16], ...]] = {}
    for name, lines in raw.items():
        p, b = parameters.bands[name], band(name)
        z = y[name]
        for (victim, source), coefficient in LEAKS.items():
            if victim == name and source in y:
                z = z - np.float32(coefficient) * _leak(name, y[source], source)
        c = p.response
        if p.model == CUBIC:
            z = z * (c[2] + z * (c[1] + z * c[0]))
        else:
            z = np.where(z <= c[2], c[0] * z, c[1] * z + (c[0] - c[1]) * c[2])
        _replace(z, p)
        quality = np.where(lines[:, b.blind : b.raw_columns - b.blind] >= 4095, np.uint16(128), np.uint16(0))
        d = p.defects
        quality[:, d.column] = quality[:, d.source[:, 0]] | quality[:, d.source[:, 1]] | 16
        if b.binning == 3:
            z = z[:, :1275].reshape(-1, 425, 3).mean(axis=2)
            quality = np.bitwise_or.reduce(quality[:, :1275].reshape(-1, 425, 3), axis=2)
        counts = np.clip(np.floor(z + np.float32(100.5)), 1, 65534).astype(np.uint16)
        out[name] = (counts, quality | np.uint16(DETECTOR << 8))
    return out


def measure(title: str, names: tuple[str, ...], parameters: RadiometricParameters) -> Case:
    """Alternate ours, NumPy and memcpy on one granule of some bands."""
    random = np.random.default_rng(1)
    raw = {
        n: random.integers(440, 3000, (band(n).lines_per_scene, band(n).raw_columns)).astype(np.uint16) for n in names
    }
    bad = {n: np.zeros(lines.shape[0], bool) for n, lines in raw.items()}
    first = dict.fromkeys(names, 0)
    blank = {n: np.ones((lines.shape[0], band(n).columns), np.uint16) for n, lines in raw.items()}
    pairs = [(a, a.copy()) for n in names for a in (raw[n], blank[n], blank[n].copy())]

    def ours() -> object:
        return process_granule(DETECTOR, first, raw, bad, parameters)

    def copies() -> None:
        # As many bytes as the raw counts, the counts and the quality, between places that are there already.
        for source, target in pairs:
            np.copyto(target, source)

    expected, found = numpy_chain(raw, parameters), process_granule(DETECTOR, first, raw, bad, parameters)
    for n in names:
        difference = np.abs(found[n].counts.astype(int) - expected[n][0].astype(int)).max()
        if difference > 1:
            raise SystemExit(f"{n}: the two chains differ by {difference} DN")
    contestants = {"ours": ours, "numpy": lambda: numpy_chain(raw, parameters), "memcpy": copies}
    pixels = sum(lines.size for lines in raw.values())
    extra = {"task_GB": (_peak(ours) + sum(lines.nbytes for lines in raw.values())) / 1e9}
    return Case(title, megapixels_per_second(pixels, alternate(contestants, REPEATS)), extra=extra)


def _peak(work: Callable[[], object]) -> int:
    """Return the largest memory that a call holds in arrays [byte]."""
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def measure_optical(parameters: RadiometricParameters) -> Case:
    """Measure all thirteen bands with the optical crosstalk of each in every other, against copying memory."""
    random = np.random.default_rng(2)
    raw = {
        n: random.integers(440, 3000, (b.lines_per_scene, b.raw_columns)).astype(np.uint16) for n, b in BANDS.items()
    }
    bad = {n: np.zeros(lines.shape[0], bool) for n, lines in raw.items()}
    first = dict.fromkeys(raw, 0)
    pairs = [(a, a.copy()) for lines in raw.values() for a in (lines, lines.copy(), lines.copy())]

    def ours() -> object:
        return process_granule(DETECTOR, first, raw, bad, parameters)

    def copies() -> None:
        for source, target in pairs:
            np.copyto(target, source)

    pixels = sum(lines.size for lines in raw.values())
    extra = {"task_GB": (_peak(ours) + sum(lines.nbytes for lines in raw.values())) / 1e9}
    speed = megapixels_per_second(pixels, alternate({"ours": ours, "memcpy": copies}, 3))
    return Case("13 bands, optical crosstalk", speed, extra=extra)


def main() -> None:
    """Measure the four kinds of bands."""
    random = np.random.default_rng(0)
    crosstalk = np.zeros((len(BANDS), len(BANDS)))
    for (victim, source), value in LEAKS.items():
        crosstalk[band(victim).index, band(source).index] = value
    parameters = RadiometricParameters("S2A", DETECTOR, {n: _band(n, random) for n in BANDS}, crosstalk=crosstalk)
    cases = {"10 m VNIR (B04)": ("B04",), "20 m VNIR (B05)": ("B05",), "60 m VNIR (B01)": ("B01",), "SWIR trio": TRIO}
    measured = [measure(title, names, parameters) for title, names in cases.items()]
    everything = replace(parameters, optical=random.normal(0, 1e-5, crosstalk.shape) * ~np.eye(len(BANDS), dtype=bool))
    report("radiometry", [*measured, measure_optical(everything)])


if __name__ == "__main__":
    main()
