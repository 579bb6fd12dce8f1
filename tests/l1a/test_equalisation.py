"""On-board equalisation undone, against the forward model of the instrument in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from l1a_model import downlinked, equalised, table

from s2dask.auxdata.gipp_equalisation import OnboardTable
from s2dask.l1a.equalisation import InverseTable, inverse_table, undo_equalisation


def _inverse(t: OnboardTable) -> InverseTable:
    return inverse_table(t.dark, t.a1, t.a2, t.zs)


def _one(dark: float, a1: float, a2: float, zs: float) -> OnboardTable:
    return OnboardTable(*(np.array([value]) for value in (dark, a1, a2, zs)))


def _column(t: OnboardTable) -> tuple[np.ndarray, np.ndarray]:
    """Return every count that survives the way down, and what comes back."""
    x = np.arange(np.ceil(t.dark[0]), 4096, dtype=np.uint16)[:, np.newaxis]
    return x, undo_equalisation(downlinked(x, t), _inverse(t))


@pytest.mark.row("IPF-11")
@settings(max_examples=200, deadline=None)
@given(
    dark=st.floats(0, 900), a1=st.floats(0.9, 1.1), a2=st.floats(0.9, 1.1), zs=st.floats(0, 3000)
)  # fmt: skip
def test_raw_counts_come_back_within_half_a_count_of_the_downlink(dark: float, a1: float, a2: float, zs: float) -> None:
    """What comes back gives the very count that was downlinked, wherever the knee lies: half a count of it at most."""
    t = _one(dark, a1, a2, zs)
    x, found = _column(t)
    sent = np.clip(equalised(x.astype(float), t), 0, 4095)
    again = np.clip(equalised(found.astype(float), t), 0, 4095)
    # 1e-3: single precision. A saturated downlink count stands for every count above it.
    kept = sent < 4094.5
    assert np.abs(again - np.floor(sent + 0.5))[kept].max(initial=0) <= 0.5 * max(a1, a2, 1.0) + 1e-3
    slope = np.where(x - dark <= zs, a1, a2)
    assert (np.abs(found.astype(int) - x)[kept] <= np.where(slope >= 1, 0, 1)[kept] + (t.a1 != t.a2)).all()


@pytest.mark.row("IPF-11")
@settings(max_examples=100, deadline=None)
@given(
    dark=st.floats(0, 900), a1=st.floats(1.001, 1.1), a2=st.floats(1.001, 1.1), zs=st.floats(0, 3000)
)  # fmt: skip
def test_counts_come_back_exactly_where_the_downlink_is_finer(
    dark: float, a1: float, a2: float, zs: float
) -> None:
    t = _one(dark, a1, a2, zs)
    x, found = _column(t)
    kept = equalised(x.astype(float), t) < 4094.5
    np.testing.assert_array_equal(found[kept], x[kept])


@pytest.mark.row("IPF-11")
@pytest.mark.parametrize("name", ["B04", "B11"])
def test_a_whole_band_of_a_real_order_of_magnitude(name: str) -> None:
    """S2B downlinks with slopes of 1.005 and 0.995: one count in two hundred shares its code with a neighbour."""
    t = table(name)
    x = np.random.default_rng(1).integers(460, 4090, (64, t.dark.size)).astype(np.uint16)
    error = undo_equalisation(downlinked(x, t), _inverse(t)).astype(int) - x
    assert np.abs(error).max() <= 1
    assert (error != 0).mean() < 0.01
    assert np.sqrt(np.mean(np.square(error))) <= 0.1


def test_saturated_counts_stay_saturated_and_others_do_not_become_so() -> None:
    for slopes in ((1.005, 0.995), (1.1, 1.1), (0.9, 0.9)):
        t = table("B02", 3, slopes)
        lines = np.repeat(np.array([[0], [4080], [4095]], np.uint16), t.dark.size, axis=1)
        found = undo_equalisation(downlinked(lines, t), _inverse(t))
        assert (found[2] == 4095).all()
        assert found[1].max() < 4095
        # darker than what the instrument subtracts: all that is left of it is that dark signal
        np.testing.assert_allclose(found[0], t.dark, atol=0.501)


def test_pieces_give_the_whole() -> None:
    t = _inverse(table("B02"))
    lines = np.random.default_rng(2).integers(0, 4096, (96, t.knee.size)).astype(np.uint16)
    whole = undo_equalisation(lines, t)
    for cut in (1, 16, 50):
        parts = [undo_equalisation(part, t) for part in (lines[:cut], lines[cut:])]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
