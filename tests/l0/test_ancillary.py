"""Ancillary packets: samples once each, in order, finite."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.instrument.telemetry import APID_AOCS, APID_GPS
from s2dask.l0.ancillary import parse_samples
from s2dask.simulate.coding import ancillary_packets

START = 1_281_614_557_000_000_000


def _packets(values: NDArray[np.float64], sid: int = 105, apid: int = APID_AOCS) -> list[bytes]:
    time = START + np.arange(len(values), dtype=np.int64) * 100_000_000
    return [p.tobytes() for p in ancillary_packets(apid, sid, time, values)]


@pytest.mark.parametrize(("apid", "sid", "width"), [(APID_GPS, 1, 6), (APID_AOCS, 105, 4)])
def test_samples_come_back_in_order(apid: int, sid: int, width: int) -> None:
    values = np.random.default_rng(0).normal(0, 7e6, (20, width))
    packets = _packets(values, sid, apid)
    found = parse_samples([packets[k] for k in np.random.default_rng(1).permutation(20)], apid)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.time, START + np.arange(20) * 100_000_000)
    assert (found.time.dtype, found.values.dtype) == (np.dtype(np.int64), np.dtype(np.float64))


def test_a_date_counts_once() -> None:
    packets = _packets(np.random.default_rng(0).normal(size=(9, 4)))
    found = parse_samples([*packets, packets[3], packets[8], packets[0]], APID_AOCS)
    assert found.time.size == 9
    np.testing.assert_array_equal(found.values, parse_samples(packets, APID_AOCS).values)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_left_out(wrong: float) -> None:
    values = np.random.default_rng(0).normal(size=(9, 4))
    values[4, 2] = wrong
    found = parse_samples(_packets(values), APID_AOCS)
    np.testing.assert_array_equal(found.values, np.delete(values, 4, 0))
    assert START + 400_000_000 not in found.time


def test_a_good_sample_is_found_behind_a_bad_one_of_its_date() -> None:
    values = np.ones((3, 4))
    bad = values * np.nan
    found = parse_samples(_packets(bad) + _packets(values), APID_AOCS)
    np.testing.assert_array_equal(found.values, values)


def test_packets_of_another_size_or_structure_are_passed_over() -> None:
    values = np.ones((3, 4))
    packets = _packets(values)
    others = [packets[0][:-1], packets[1] + b"\0\0", b"", *_packets(values * 2, sid=106)]
    np.testing.assert_array_equal(parse_samples(others + packets, APID_AOCS).values, values)
    nothing = parse_samples(others, APID_AOCS)
    assert nothing.time.size == 0
    assert nothing.values.shape == (0, 4)
