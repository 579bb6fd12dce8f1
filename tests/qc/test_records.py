"""Records combine like the images they describe."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dask.qc.records import combine, finalise, image_record


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_blocks_combine_to_the_whole(cut: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 4096, (41, 7)).astype(np.uint16)
    valid = image > 100
    parts = [image_record(image[s], valid[s], "b02") for s in (slice(cut), slice(cut, None))]
    whole = combine([image_record(image, valid, "b02")])
    assert combine(parts) == combine(parts[::-1]) == pytest.approx(whole)
    final = finalise(whole)
    assert final["b02.mean"] == pytest.approx(image[valid].mean())
    assert final["b02.standard_deviation"] == pytest.approx(image[valid].std())


def test_an_empty_block_says_so() -> None:
    empty = image_record(np.zeros((2, 2)), np.zeros((2, 2), bool), "b01")
    assert finalise(combine([empty])) == {"b01.valid_percentage": 0.0}
