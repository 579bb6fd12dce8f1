"""Modulation transfer from slanted edges: that of the simulator's point spread comes out, and only edges tell it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.instrument import unit
from s2dask.l1c.edge_transfer import FEWEST, edge_transfers, median_transfer
from s2dask.simulate.landscape import blur

FINE = 8
"""Cells of the ground on the edge of a pixel."""


def fields(seed: int, size: int = 120, noise: float = 10.0, psf: float = 0.5) -> NDArray[np.float32]:
    """Return strips of even fields as the simulator blurs them, with the noise of a band.

    Parameters
    ----------
    seed, size : int
    noise : float [1e-4]
    psf : float [px]
        Deviation of the point spread.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size * FINE, : size * FINE] / FINE
    slant = rng.choice([-1, 1]) * rng.uniform(0.08, 0.25)
    ground, at = np.full(x.shape, 2000.0, np.float32), -0.3 * size
    while at < 1.3 * size:
        at += rng.uniform(28, 45)
        step = rng.uniform(800, 1500) * (-1 if ground.max() > 2500 else 1)
        ground[x > at + slant * (y - size / 2)] += np.float32(step)
    seen = blur(ground, (psf * FINE, psf * FINE)).reshape(size, FINE, size, FINE)
    # the middle of a pixel lies between four cells
    middle = slice(FINE // 2 - 1, FINE // 2 + 1)
    return np.asarray(seen[:, middle, :, middle].mean((1, 3)) + rng.normal(0, noise, (size, size)), np.float32)


@pytest.mark.row("MPC-06")
@pytest.mark.parametrize("name", ["B02", "B08", "B12"])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_transfer_of_the_simulator_comes_back(name: str, backwards: bool) -> None:
    told = unit("S2A").bands[name]
    psf = 0.5 * (told.psf_sigma_lines + told.psf_sigma_columns)
    values: list[float] = []
    for seed in range(2):
        image = fields(seed, psf=psf)
        values += edge_transfers(image[::-1, ::-1] if backwards else image)
    found = median_transfer(np.array(values))
    assert found is not None
    assert found.edges >= 20
    assert found.value == pytest.approx(np.exp(-0.5 * (np.pi * psf) ** 2), abs=0.015)
    assert found.error < 0.01


def test_the_error_is_what_edges_err() -> None:
    truth = np.exp(-0.5 * (np.pi * 0.5) ** 2)
    found = [median_transfer(np.array(list(edge_transfers(fields(seed, noise=25.0))))) for seed in range(15)]
    pulls = [(one.value - truth) / np.hypot(one.error, 0.004) for one in found if one is not None]
    assert len(pulls) > 10
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 1.6


def test_what_is_no_edge_tells_nothing() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:160, :160].astype(float)
    upright = np.where(x > 80, 3000.0, 2000.0) + rng.normal(0, 5, x.shape)
    bent = np.where(x > 80 + 0.1 * y + 3 * np.sin(y / 3), 3000.0, 2000.0) + rng.normal(0, 5, x.shape)
    texture = rng.normal(2000, 300, x.shape)
    empty = fields(1, 160)
    empty[::8] = np.nan
    for image in (upright, bent, texture, np.full_like(x, 2000.0), empty):
        assert list(edge_transfers(image.astype(np.float32))) == []
    assert list(edge_transfers(np.zeros((5, 5), np.float32))) == []
    assert median_transfer(np.full(FEWEST - 1, 0.3)) is None


def test_a_soft_edge_is_a_blunt_instrument() -> None:
    sharp, soft = (np.median(list(edge_transfers(fields(2, psf=psf)))) for psf in (0.5, 0.7))
    assert sharp - soft == pytest.approx(
        np.exp(-0.5 * (np.pi * 0.5) ** 2) - np.exp(-0.5 * (np.pi * 0.7) ** 2), abs=0.02
    )
