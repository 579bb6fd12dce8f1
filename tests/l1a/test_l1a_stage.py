"""Level-1A: packets of a known content to lines, and the quality of what was lost, degraded or saturated."""

import numpy as np
import pytest

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument.quality import (
    ANC_DEGRADED,
    ANC_LOST,
    DETECTOR_SHIFT,
    MSI_DEGRADED,
    MSI_LOST,
    NODATA,
    SATURATED,
)
from s2dask.l1a.equalisation import inverse_table
from s2dask.l1a.line_quality import ancillary_flags, line_flags
from s2dask.l1a.stage import STEPS, decode_lines, finish_lines


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
    raw = decode_lines(_packets(lines), np.array([0, 1, 2, 0], np.uint8), Plain(), 11)
    base = 11 << DETECTOR_SHIFT
    assert np.flatnonzero(raw.bad).tolist() == list(range(16, 32))
    assert np.flatnonzero(raw.degraded).tolist() == list(range(32, 48))
    np.testing.assert_array_equal(raw.counts[~raw.bad], lines[~raw.bad])
    assert not raw.counts[raw.bad].any()
    ancillary = np.zeros(64, np.uint8)
    ancillary[60:] = ANC_DEGRADED
    granule = finish_lines(raw, ancillary, 11)
    assert (granule.quality[raw.bad] == base | MSI_LOST | NODATA).all()
    assert (granule.quality[raw.degraded] == base | MSI_DEGRADED).all()
    assert granule.quality[2, 5] == base | SATURATED
    assert (granule.quality[48:60] == base).all()
    assert (granule.quality[60:] == base | ANC_DEGRADED).all()
    bad, degraded = line_flags(granule.quality)
    np.testing.assert_array_equal(bad, raw.bad)
    np.testing.assert_array_equal(degraded, raw.degraded)
    part = finish_lines(raw, ancillary, 11, window=(10, 40))
    np.testing.assert_array_equal(part.quality, granule.quality[10:40])


def test_a_degraded_packet_that_the_codec_cannot_read_is_lost() -> None:
    class Strict(Plain):
        def decode(self, packets: np.ndarray, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return super().decode(packets, status)[0], np.repeat(status == 2, 16)

    raw = decode_lines(_packets(np.ones((32, 4), np.uint16)), np.array([2, 0], np.uint8), Strict(), 6)
    assert raw.bad.sum() == 16
    assert not raw.degraded.any()
    assert not raw.counts[:16].any()


def test_what_does_not_fit_is_refused() -> None:
    packets = _packets(np.zeros((32, 4), np.uint16))
    with pytest.raises(InputError, match="D06: 3 states for packets"):
        decode_lines(packets, np.zeros(3, np.uint8), Plain(), 6)
    with pytest.raises(ConfigurationError, match="no such detector"):
        decode_lines(packets, np.zeros(2, np.uint8), Plain(), 13)
    other = inverse_table(*(np.ones(5) for _ in range(4)))
    with pytest.raises(InputError, match="4 columns, the on-board table has 5"):
        decode_lines(packets, np.zeros(2, np.uint8), Plain(), 6, other)
    raw = decode_lines(packets, np.zeros(2, np.uint8), Plain(), 6)
    with pytest.raises(ConfigurationError, match="lines 0 to 33"):
        finish_lines(raw, np.zeros(32, np.uint8), 6, window=(0, 33))

    class Short(Plain):
        def decode(self, packets: np.ndarray, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            counts, bad = super().decode(packets, status)
            return counts[:-1], bad[:-1]

    with pytest.raises(InputError, match="31 lines from 2 packets"):
        decode_lines(packets, np.zeros(2, np.uint8), Short(), 6)


def test_lines_without_orbit_or_attitude_are_flagged() -> None:
    second = 1_000_000_000
    dates = np.arange(0, 30 * second, second // 10)
    points, attitude = np.arange(-5, 35) * second, np.arange(-50, 251) * (second // 10)
    kept = (attitude <= 10 * second) | (attitude >= 10 * second + 3 * second // 10)
    flags = ancillary_flags(dates, points, attitude[kept])
    inside = (dates >= 10 * second) & (dates < 10 * second + 3 * second // 10)
    np.testing.assert_array_equal(flags == ANC_DEGRADED, inside)
    np.testing.assert_array_equal(flags == ANC_LOST, dates > 20 * second + 5 * second)
    holed = points[(points <= 3 * second) | (points >= 9 * second)]
    hole = ancillary_flags(dates, holed)
    np.testing.assert_array_equal(hole == ANC_LOST, (dates >= 3 * second) & (dates < 9 * second))
    assert (ancillary_flags(dates, points[:1]) == ANC_LOST).all()
    assert not ancillary_flags(dates, points).any()


def test_the_steps_have_their_operational_names() -> None:
    assert [(step.name, step.level) for step in STEPS] == [("DECOMP", "L1A"), ("RADIO_AB", "L1A")]
