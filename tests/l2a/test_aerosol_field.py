"""Aerosol over a tile from boxes and forecast: weights against the textbook, and errors against what is stated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_correction import conditions

from s2dask.l2a.aerosol import BoxAerosol
from s2dask.l2a.aerosol_field import (
    DEFAULT_AOT,
    DEFAULT_SIGMA,
    FORECAST_SIGMA,
    LOCAL_REACH,
    LOCAL_SIGMA,
    MODEL_SIGMA,
    aot_at,
    fit_decay,
    settle_aerosol,
)
from s2dask.l2a.conditions import Conditions

SHAPE = (9, 11)


def _nodes(forecast: float | None = None, height: float | None = None) -> Conditions:
    full = np.ones((2, 2))
    base = replace(
        conditions(), aot=None if forecast is None else forecast * full,
        aot_height=None if height is None else height * full,
    )  # fmt: skip
    return base.at_boxes(50, SHAPE)


def _boxes(row: object, column: object, aot: object, sigma: float = 0.02, shared: float = 0.04) -> BoxAerosol:
    rows, columns = np.asarray(row, np.intp), np.asarray(column, np.intp)
    values = np.broadcast_to(np.asarray(aot, np.float64), rows.shape)
    return BoxAerosol(rows, columns, values, np.zeros(rows.size), np.full(rows.size, sigma), shared, 10 * rows.size)


def test_nothing_known() -> None:
    found = settle_aerosol(_nodes(), None, 0.0)
    assert (found.method, found.cells, found.boxes) == ("DEFAULT", 0, 0)
    assert (found.aot == DEFAULT_AOT).all()
    np.testing.assert_allclose(found.sigma, np.hypot(DEFAULT_SIGMA, LOCAL_SIGMA), atol=1e-5)


@pytest.mark.row("IPF-37")
def test_forecast_alone() -> None:
    found = settle_aerosol(_nodes(0.3), None, 250.0)
    assert found.method == "CAMS"
    np.testing.assert_allclose(found.aot, 0.3, atol=1e-5)
    np.testing.assert_allclose(
        found.sigma, np.hypot(FORECAST_SIGMA[0] + FORECAST_SIGMA[1] * 0.3, LOCAL_SIGMA), atol=1e-5
    )
    lifted = settle_aerosol(_nodes(0.3, 1250.0), None, 250.0)
    np.testing.assert_allclose(lifted.aot, 0.3 * np.exp(0.5), atol=1e-5)


def test_one_box_and_the_forecast_are_weighed_by_their_variances() -> None:
    boxes = _boxes([4], [5], 0.4)
    found = settle_aerosol(_nodes(0.2), boxes, 0.0)
    assert found.method == "DDV+CAMS"
    prior = (FORECAST_SIGMA[0] + FORECAST_SIGMA[1] * 0.2) ** 2 + LOCAL_SIGMA**2
    seen = 0.02**2 + 0.04**2 + (MODEL_SIGMA * 0.4) ** 2
    np.testing.assert_allclose(found.aot[4, 5], (0.2 / prior + 0.4 / seen) / (1 / prior + 1 / seen), atol=1e-5)
    np.testing.assert_allclose(found.sigma[4, 5], (1 / prior + 1 / seen) ** -0.5, atol=1e-5)
    shared = np.exp(-3000.0 * np.hypot(4, 5) / LOCAL_REACH) * LOCAL_SIGMA**2 + prior - LOCAL_SIGMA**2
    np.testing.assert_allclose(found.aot[0, 0], 0.2 + 0.2 * shared / (prior + seen), atol=1e-5)
    assert found.sigma[0, 0] > found.sigma[4, 5]


def test_boxes_alone_keep_their_level_and_fill_the_rest() -> None:
    rows, columns = np.indices(SHAPE)
    seen = columns < 6
    field = 0.2 + 0.01 * columns
    noisy = field[seen] + np.random.default_rng(0).normal(0, 0.02, seen.sum())
    found = settle_aerosol(_nodes(), _boxes(rows[seen], columns[seen], noisy), 0.0)
    assert found.method == "DDV"
    error = found.aot - field
    assert np.sqrt(np.mean(error[seen] ** 2)) < 0.012
    assert np.sqrt(np.mean(error[~seen] ** 2)) < 0.06
    assert found.sigma[:, -1].min() > found.sigma[:, 2].max()
    assert (np.abs(np.diff(found.aot, axis=1)) < 0.03).all()


def test_thinning_with_height_is_told_by_boxes_at_many_heights() -> None:
    height = np.linspace(0, 2500, 40)
    rows, columns = np.divmod(np.arange(40), 8)
    flat = _boxes(rows, columns, 0.3)
    assert fit_decay(replace(flat, height=np.full(40, 800.0))) == pytest.approx(5e-4)
    assert fit_decay(replace(flat, height=height)) < 1e-4
    thinning = replace(flat, height=height, aot=0.5 * np.exp(-height / 1500))
    assert fit_decay(thinning) == pytest.approx(1 / 1500, rel=0.1)
    found = settle_aerosol(_nodes(), thinning, 1000.0)
    at = found.at_heights(np.array([0.0, 1000.0, 2000.0]))
    np.testing.assert_allclose(at[:, rows, columns].mean(axis=1), 0.5 * np.exp(-np.array([0, 1, 2]) / 1.5), rtol=0.1)
    cells = found.over_cells(np.array([1.0]), np.array([2.0]), np.array([[2000.0]]))
    np.testing.assert_allclose(cells[0, 0], at[2, 1, 2])


def test_within_what_tables_hold() -> None:
    assert aot_at(1.0, -1500.0, 3000.0, 1e-3) == 2.0
    found = settle_aerosol(_nodes(), _boxes([0, 1, 2], [0, 1, 2], [0.0, 0.01, 0.0]), 0.0)
    assert (found.aot >= 0).all()


@given(seed=st.integers(0, 10_000), forecast=st.booleans(), count=st.integers(3, 60))
@settings(max_examples=15, deadline=None)
def test_stated_uncertainty_covers_the_errors_it_is_made_of(seed: int, forecast: bool, count: int) -> None:
    random = np.random.default_rng(seed)
    y, x = np.indices(SHAPE).reshape(2, -1) * 3000.0
    local = np.exp(-np.hypot(y[:, None] - y, x[:, None] - x) / LOCAL_REACH) * LOCAL_SIGMA**2
    ratios = []
    for _ in range(60):
        truth = 0.3 + np.linalg.cholesky(local + 1e-9 * np.eye(y.size)) @ random.normal(size=y.size)
        level = 0.3 + random.normal(0, 0.12)
        seen = random.choice(y.size, count, replace=False)
        shared = random.normal(0, np.hypot(0.04, 0.03))
        aot = truth[seen] + shared + random.normal(0, 0.02, count)
        found = settle_aerosol(
            _nodes(max(level, 0.02) if forecast else None), _boxes(*np.divmod(seen, SHAPE[1]), aot), 0.0
        )
        ratios.append((found.aot.ravel() - truth) / found.sigma.ravel())
    share = (np.abs(np.concatenate(ratios)) < 1).mean()
    assert 0.5 < share < 0.85
