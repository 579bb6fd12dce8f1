"""Image compression on one core: CCSDS 122.0-B strips at the mission's rates against JPEG 2000 and zlib.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/codec.py [figures.jsonl]

A scene of a band is 144 or 72 strips of sixteen lines: a fractal ground with noise of two counts. OpenJPEG through GDAL
codes the same lines, irreversible 9/7, to the same number of bytes: as one image, and once strip by strip as packets
have them, for the distortion; zlib at its quickest holds all of it. Medians of CPU time are reported, and what a strip
spends where.
"""

import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile
from reporting import Case, alternate, cpu_seconds, megapixels_per_second, report

from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.l0.codec.blocks import from_planes, layout, to_planes
from s2dask.l0.codec.ccsds122 import Ccsds122, encode_strip, strip_bytes
from s2dask.l0.codec.float_wavelet import forward_float, inverse_float
from s2dask.l0.codec.segment import FLOAT, MAX_DEPTH
from s2dask.l0.codec.wavelet import clip, forward, inverse

BANDS = {"10 m, 2.97": (2592, 144, 2.97), "20 m, 2.655": (1296, 72, 2.655), "B11, B12, 2.4": (1296, 72, 2.4)}
REPEATS = 3


def scene(columns: int, lines: int, noise: float = 2.0) -> NDArray[np.uint16]:
    """Return counts of a fractal ground, amplitude as 1/f^1.5, with white noise."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(lines)[:, None], np.fft.rfftfreq(columns))
    frequency[0, 0] = 1.0
    ground = np.fft.irfft2(np.exp(2j * np.pi * rng.random(frequency.shape)) / frequency**1.5, (lines, columns))
    counts = 900 + 250 * ground / ground.std() + rng.normal(0, noise, ground.shape)
    return np.clip(np.round(counts), 0, 4095).astype(np.uint16)


@dataclass
class Work:
    """One band's scene in the forms that the contestants read and write."""

    lines: NDArray[np.uint16]
    size: int

    def encode(self) -> NDArray[np.uint8]:
        """Return packets with coded strips."""
        count = self.lines.shape[0] // 16
        packets = np.zeros((count, ISP_HEAD_BYTES + self.size + CRC_BYTES), np.uint8)
        for k in range(count):
            strip = encode_strip(self.lines[16 * k : 16 * k + 16], self.size)
            packets[k, ISP_HEAD_BYTES:-CRC_BYTES] = np.frombuffer(strip, np.uint8)
        return packets

    def jpeg2000(self, first: int = 0, count: int | None = None) -> bytes:
        """Return one JPEG 2000 image of some strips, all from 0 on, at the same rate."""
        lines = self.lines[16 * first : None if count is None else 16 * (first + count)]
        height, width = lines.shape
        with MemoryFile() as file:
            profile = {"driver": "JP2OpenJPEG", "dtype": "uint16", "count": 1, "height": height, "width": width}
            quality = 100 * self.size / (16 * width * 1.5)
            with file.open(**profile, QUALITY=quality, NBITS=12, REVERSIBLE="NO") as image:
                image.write(lines, 1)
            return bytes(file.getbuffer())


def read_jpeg2000(data: bytes) -> NDArray[np.uint16]:
    """Return the image."""
    with MemoryFile(data) as file, file.open() as image:
        found: NDArray[np.uint16] = image.read(1)
    return found


def psnr(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> float:
    """Return the peak signal-to-noise ratio of 12-bit counts [dB]."""
    return float(10 * np.log10(4095**2 / np.mean((a.astype(float) - b) ** 2)))


def _parts(columns: int, lines: NDArray[np.uint16], strips: int) -> dict[str, float]:
    """Return the CPU time of what is not bits, per strip [s]."""
    work, scratch, lay, blocks = (
        lines[:16].astype(np.int32),
        np.empty((16, columns), np.int32),
        layout(columns, FLOAT),
        columns // 4,
    )
    planes, masks = np.zeros((MAX_DEPTH, blocks), np.uint64), np.zeros((2, blocks), np.uint64)
    numbers, out = np.zeros((4, blocks), np.int32), np.empty((16, columns), np.uint16)
    forward_float(lines[:16], work)
    bands = work.copy()
    steps: dict[str, Callable[[], object]] = {
        "float transform": lambda: forward_float(lines[:16], work),
        "integer transform": lambda: forward(work, scratch),
        "blocks to planes": lambda: to_planes(bands, lay, planes, masks[0], numbers[0], numbers[1]),
        "planes to blocks": lambda: from_planes(
            planes, masks[0], numbers[0], numbers[3], numbers[1], numbers[2], masks[1], 0, lay, work
        ),
        "inverse float": lambda: inverse_float(bands, scratch),
        "inverse integer": lambda: inverse(work, scratch),
        "clip": lambda: clip(work, out),
    }

    def repeated(step: Callable[[], object]) -> Callable[[], None]:
        return lambda: [step() for _ in range(strips)] and None

    for step in steps.values():
        step()
    return {name: cpu_seconds(repeated(step)) / strips for name, step in steps.items()}


def _measure(title: str, columns: int, strips: int, rate: float) -> list[Case]:
    """Return the cases of one band, and print where the time of a strip goes."""
    work = Work(scene(columns, 16 * strips), strip_bytes(columns, rate))
    packets, status, pixels = work.encode(), np.zeros(strips, np.uint8), work.lines.size
    jpeg, packed = work.jpeg2000(), zlib.compress(work.lines, 1)
    found, _ = Ccsds122().decode(packets, status)
    Ccsds122().decode_coarse(packets, status)
    decoding = alternate(
        {
            "ours": lambda: Ccsds122().decode(packets, status),
            "OpenJPEG": lambda: read_jpeg2000(jpeg),
            "zlib": lambda: zlib.decompress(packed),
        },
        REPEATS,
    )
    encoding = alternate(
        {"ours": work.encode, "OpenJPEG": work.jpeg2000, "zlib": lambda: zlib.compress(work.lines, 1)}, REPEATS
    )
    extra = {"PSNR dB": psnr(found, work.lines), "OpenJPEG dB": psnr(read_jpeg2000(jpeg), work.lines)}
    extra |= {"bytes": float(work.size * strips), "OpenJPEG bytes": float(len(jpeg)), "zlib bytes": float(len(packed))}
    strips_of_jpeg = np.concatenate([read_jpeg2000(work.jpeg2000(k, 1)) for k in range(strips)])
    extra["OpenJPEG dB in strips"] = psnr(strips_of_jpeg, work.lines)
    coarse = cpu_seconds(lambda: Ccsds122().decode_coarse(packets, status)) / strips
    for name, part in (_parts(columns, work.lines, strips) | {"coarse image alone": coarse}).items():
        print(f"  {title:<16}{name:<20}{1e6 * part:7.1f} us a strip")
    return [
        Case(f"decode {title}", megapixels_per_second(pixels, decoding), extra=extra),
        Case(f"encode {title}", megapixels_per_second(pixels, encoding)),
    ]


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    report("codec", [case for title, band in BANDS.items() for case in _measure(title, *band)])


if __name__ == "__main__":
    main()
