"""Level-1A: packets of a known content to lines, and the quality of what was lost, degraded or saturated."""

import numpy as np
import pytest

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument.quality import DETECTOR_SHIFT, MSI_DEGRADED, MSI_LOST, NODATA, SATURATED
from s2dask.l1a.line_quality import line_flags
from s2dask.l1a.stage import STEPS, decode_granule


class Plain:
    """A codec whose packets are 16 lines of big-endian 16-bit counts."""

    def decode(self, packets: np.ndarray, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = packets.view(">u2").astype(np.uint16).reshape(packets.shape[0] * 16, -1)
        return counts, np.repeat(status == 1, 16)


def _packets(lines: np.ndarray) -> np.ndarray:
    return lines.astype(">u2").reshape(lines.shape[0] // 16, -1).view(np.uint8)


def test_lines_and_quality_of_whole_lost_and_degraded_packets() -> None:
    lines = np.random.default_rng(0).integers(0, 4095, (64, 30)).astype(np.uint16)
    lines[2, 5] = 4095
    granule = decode_granule(_packets(lines), np.array([0, 1, 2, 0], np.uint8), Plain(), 11)
    base = 11 << DETECTOR_SHIFT
    assert np.flatnonzero(granule.bad).tolist() == list(range(16, 32))
    assert np.flatnonzero(granule.degraded).tolist() == list(range(32, 48))
    np.testing.assert_array_equal(granule.counts[~granule.bad], lines[~granule.bad])
    assert not granule.counts[granule.bad].any()
    assert (granule.quality[granule.bad] == base | MSI_LOST | NODATA).all()
    assert (granule.quality[granule.degraded] == base | MSI_DEGRADED).all()
    assert granule.quality[2, 5] == base | SATURATED
    assert (granule.quality[48:] == base).all()
    bad, degraded = line_flags(granule.quality)
    np.testing.assert_array_equal(bad, granule.bad)
    np.testing.assert_array_equal(degraded, granule.degraded)


def test_what_does_not_fit_is_refused() -> None:
    packets = _packets(np.zeros((32, 4), np.uint16))
    with pytest.raises(InputError, match="D06: 3 states for packets"):
        decode_granule(packets, np.zeros(3, np.uint8), Plain(), 6)
    with pytest.raises(ConfigurationError, match="no such detector"):
        decode_granule(packets, np.zeros(2, np.uint8), Plain(), 13)

    class Short(Plain):
        def decode(self, packets: np.ndarray, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            counts, bad = super().decode(packets, status)
            return counts[:-1], bad[:-1]

    with pytest.raises(InputError, match="31 lines from 2 packets"):
        decode_granule(packets, np.zeros(2, np.uint8), Short(), 6)


def test_the_step_has_its_operational_name() -> None:
    assert [(step.name, step.level) for step in STEPS] == [("DECOMP", "L1A")]
