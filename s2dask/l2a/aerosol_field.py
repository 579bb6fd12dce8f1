"""Aerosol over a whole tile: what dark vegetation and the forecast say, weighed by how far each can be trusted."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.l2a.aerosol import AOT_NODES, BoxAerosol
from s2dask.l2a.cells import between_nodes
from s2dask.l2a.conditions import Conditions

DEFAULT_AOT: Final = 0.2
"""Of a tile that nothing is known of: a visibility of some 40 km [1]."""
DEFAULT_SIGMA: Final = 0.15
"""77 % of what AERONET measured at 66 passes of Sentinel-2 over Alta Floresta (Marujo et al. 2021) is within it [1]."""
FORECAST_SIGMA: Final = (0.03, 0.3)
"""Standard uncertainty of a forecast, and what comes to it for each unit of aerosol [1].

Own estimate: 0.09 at 0.2; retrievals from images of arid land miss AERONET by 0.07 to 0.10 (Rouquie et al. 2017).
"""
FREE_SIGMA: Final = 1.0
"""Of the mean of a tile where dark vegetation alone tells it [1]."""
MODEL_SIGMA: Final = 0.1
"""Of aerosol seen through the wrong model of it, relative [1]."""
LOCAL_SIGMA: Final = 0.04
"""Of the aerosol of a place against that of its tile [1] ..."""
LOCAL_REACH: Final = 20_000.0
"""... and the distance over which it is alike by 1/e [m]."""
DECAYS: Final = np.linspace(0.0, 1e-3, 41)
"""By which aerosol may thin out with height, relative [1/m] ..."""
DECAY: Final = (5e-4, 5e-4)
"""... what is expected, a scale height of 2 km, and how far that may be wrong [1/m]."""
DIGITS: Final = 5
"""Kept of the answer, so that it does not depend on how many threads the linear algebra takes."""

Field = NDArray[np.float64]


def aot_at(aot: ArrayLike, heights: ArrayLike, reference: ArrayLike, decay: float) -> Field:
    """Return the optical thickness above heights [m] from that above reference heights [m], within what tables hold.

    Notes
    -----
    ``A(h) = A(h0) exp(decay (h0 - h))``.
    """
    lower = np.asarray(reference, np.float64) - np.asarray(heights, np.float64)
    return np.asarray(np.clip(np.asarray(aot) * np.exp(decay * lower), 0.0, AOT_NODES[-1]))


@dataclass(frozen=True, slots=True, eq=False)
class Aerosol:
    """Aerosol optical thickness at 550 nm over a tile, at the centres of its boxes.

    Attributes
    ----------
    aot, sigma : (ny, nx) float64 [1]
        Above the reference height, and its standard uncertainty.
    reference : float [m]
    decay : float [1/m]
        By which aerosol thins out with height.
    method : str
        ``DDV``, ``DDV+CAMS``, ``CAMS`` or ``DEFAULT``.
    cells, boxes : int
        Of dark vegetation used.
    """

    aot: Field
    sigma: Field
    reference: float
    decay: float
    method: str
    cells: int
    boxes: int

    def at_heights(self, heights: Field) -> Field:
        """Return (height, ny, nx) the optical thickness if the ground of every node were at each height [m]."""
        return aot_at(self.aot, heights[:, None, None], self.reference, self.decay)

    def over_cells(self, rows: Field, columns: Field, elevation: ArrayLike) -> Field:
        """Return (row, column) the optical thickness above cells; positions in nodes, elevation [m]."""
        return aot_at(between_nodes(self.aot, rows, columns), elevation, self.reference, self.decay)


def fit_decay(boxes: BoxAerosol) -> float:
    """Return by how much aerosol thins out with height [1/m]: as expected, unless boxes at many heights say otherwise.

    Notes
    -----
    Least squares over all boxes of one exponential, with the expected decay as one more observation.
    """
    weight = 1 / (boxes.sigma**2 + LOCAL_SIGMA**2)
    falls = np.exp(-DECAYS[:, None] * (boxes.height - np.average(boxes.height, weights=weight)))
    level = (falls * boxes.aot * weight).sum(axis=1) / (falls**2 * weight).sum(axis=1)
    cost = ((boxes.aot - level[:, None] * falls) ** 2 * weight).sum(axis=1) + ((DECAYS - DECAY[0]) / DECAY[1]) ** 2
    return float(DECAYS[np.argmin(cost)])


def _prior(nodes: Conditions, boxes: BoxAerosol | None, reference: float, decay: float) -> tuple[Field, Field, str]:
    """Return what is known of the aerosol of each node without its image, its uncertainty, and who says it."""
    shape = nodes.sun.shape[1:]
    if nodes.aot is not None:
        ground = np.full(shape, reference) if nodes.aot_height is None else nodes.aot_height
        forecast = aot_at(nodes.aot, reference, ground, decay)
        return forecast, FORECAST_SIGMA[0] + FORECAST_SIGMA[1] * forecast, "CAMS"
    if boxes is not None:
        return np.full(shape, np.median(boxes.aot)), np.full(shape, FREE_SIGMA), "DDV"
    return np.full(shape, DEFAULT_AOT), np.full(shape, DEFAULT_SIGMA), "DEFAULT"


def _blend(nodes: Conditions, boxes: BoxAerosol, before: Field, common: Field) -> tuple[Field, Field]:
    """Return aerosol and uncertainty of each node from what is known beforehand and what boxes say."""
    y, x = (nodes.step * i.ravel() for i in np.indices(before.shape))
    apart = np.hypot(y[:, None] - y, x[:, None] - x)
    prior = LOCAL_SIGMA**2 * np.exp(-apart / LOCAL_REACH) + common.ravel()[:, None] * common.ravel()
    seen = boxes.row * before.shape[1] + boxes.column
    shared = boxes.shared**2 + (MODEL_SIGMA * float(np.median(boxes.aot))) ** 2
    covariance = prior[np.ix_(seen, seen)] + np.diag(boxes.sigma**2) + shared
    gain = np.linalg.solve(covariance, prior[seen])
    aot = before.ravel() + gain.T @ (boxes.aot - before.ravel()[seen])
    variance = np.diag(prior) - np.einsum("ij,ij->j", prior[seen], gain)
    return aot.reshape(before.shape), np.sqrt(np.maximum(variance, 0.0)).reshape(before.shape)


def settle_aerosol(nodes: Conditions, boxes: BoxAerosol | None, reference: float) -> Aerosol:
    """Return the aerosol of a tile, with its uncertainty, at every box.

    Parameters
    ----------
    nodes : Conditions
        At the centres of the boxes.
    boxes : BoxAerosol or None
        From dark vegetation.
    reference : float [m]
        Height above which the aerosol is counted.

    Notes
    -----
    Optimal interpolation (Gandin, 1963; Rodgers, 2000, eq. 4.3): the weights are the inverse variances. What is known
    beforehand errs alike everywhere, and besides from place to place, less alike the farther apart; dark vegetation
    errs alike in all boxes by the share of its relations, and in each by its own. A box between others is thereby
    smoothed, one without vegetation filled, and far from any the forecast stands.
    """
    decay = DECAY[0]
    if boxes is not None:
        decay = fit_decay(boxes)
        lift = np.exp(decay * (boxes.height - reference))
        boxes = replace(boxes, aot=boxes.aot * lift, sigma=boxes.sigma * lift)
    aot, common, method = _prior(nodes, boxes, reference, decay)
    sigma: Field = np.asarray(np.hypot(common, LOCAL_SIGMA), np.float64)
    if boxes is not None:
        aot, sigma = _blend(nodes, boxes, aot, common)
        method = "DDV+CAMS" if method == "CAMS" else method
    aot = np.asarray(np.round(np.clip(aot, 0.0, AOT_NODES[-1]), DIGITS), np.float64)
    used = (0, 0) if boxes is None else (boxes.cells, boxes.aot.size)
    return Aerosol(aot, np.round(sigma, DIGITS), reference, decay, method, *used)
