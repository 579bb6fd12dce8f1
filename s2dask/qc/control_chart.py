"""Control charts of one indicator: EWMA and CUSUM against what it was in a baseline period.

Notes
-----
EWMA: ``w_i = λ·z_i + (1 − λ)·w_{i−1}``, ``w_0 = 0``, with the limits ``±L·s_i``,
``s_i² = λ/(2 − λ)·(1 − (1 − λ)^{2i}) + (1 − (1 − λ)^i)²/m`` (S. W. Roberts, Technometrics 1 (1959) 239; J. M. Lucas and
M. S. Saccucci, Technometrics 32 (1990) 1; NIST/SEMATECH e-Handbook, 6.3.2.4). CUSUM, tabular and two-sided:
``C⁺_i = max(0, C⁺_{i−1} + z_i − k)``, ``C⁻_i = max(0, C⁻_{i−1} − z_i − k)`` with the limit h (E. S. Page, Biometrika 41
(1954) 100; e-Handbook, 6.3.2.3). ``z`` is the indicator less the mean of the baseline, over its standard deviation.
The last term of ``s_i²`` is the uncertainty of the mean of m baseline products.
"""

from dataclasses import dataclass

import numpy as np

from s2dask.errors import ConfigurationError

SMOOTHING = 0.2
"""λ of the EWMA."""
ALLOWANCE = 1.0
"""k of the CUSUM [standard deviations]: half the shift that it is quickest for."""
FEWEST = 30
"""Baseline products below which no limit keeps its rate of false alarms."""
_CLIP = 4.0
_MOST_APART = 0.2
_PRODUCTS = np.array([30.0, 40.0, 50.0, 70.0, 100.0, 200.0, 1000.0])
_EWMA_LIMIT = np.array([5.44, 5.08, 4.90, 4.74, 4.65, 4.49, 4.38])
_CUSUM_LIMIT = np.array([11.34, 8.82, 7.71, 6.81, 6.35, 5.70, 5.39])


@dataclass(frozen=True, slots=True)
class InControl:
    """What an indicator is as long as nothing changes.

    Attributes
    ----------
    mean, sigma : float
    products : int
        Of the baseline, without those that stand apart.
    apart : int
        More than four robust standard deviations from the median: left out.
    correlation : float
        Of one product with the next.
    """

    mean: float
    sigma: float
    products: int
    apart: int
    correlation: float

    @property
    def ewma_limit(self) -> float:
        """Return L: one chart in a thousand gives an alarm in 100 clean products, with a mean and sigma so known."""
        return float(np.interp(-1.0 / self.products, -1.0 / _PRODUCTS, _EWMA_LIMIT))

    @property
    def cusum_limit(self) -> float:
        """Return h, by the same rule."""
        return float(np.interp(-1.0 / self.products, -1.0 / _PRODUCTS, _CUSUM_LIMIT))

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """Return (n) float64 [standard deviations]."""
        return np.asarray((values - self.mean) / self.sigma)


def in_control(values: np.ndarray, where: str = "baseline") -> InControl:
    """Return mean and standard deviation of a baseline period, whatever a few odd products say.

    Parameters
    ----------
    values : (n) float64
        In the order of sensing.
    where : str
        For messages.

    Notes
    -----
    Values more than 4 × 1.4826 × MAD from the median are left out. A positive correlation ``r`` of successive products
    beyond ``2/√n`` widens sigma by ``√((1 + r)/(1 − r))``, the growth of the spread of a long mean of a first-order
    autoregressive series (G. E. P. Box, G. M. Jenkins, Time Series Analysis). An indicator that never moves keeps a
    sigma of a part in 10⁹: any other value is out.
    """
    if len(values) < FEWEST:
        raise ConfigurationError(
            f"{len(values)} products are too few for control limits", where, f"give a baseline of {FEWEST} or more"
        )
    centre = np.median(values)
    distance = np.abs(values - centre)
    kept = values[distance <= _CLIP * 1.4826 * np.median(distance)]
    if len(kept) < (1.0 - _MOST_APART) * len(values):
        raise ConfigurationError(
            f"{len(values) - len(kept)} of {len(values)} values stand apart from the rest: no steady process",
            where,
            "watch it by the limit of a check, or choose another baseline",
        )
    mean = float(kept.mean())
    sigma = max(float(kept.std(ddof=1)), 1e-9 * max(abs(mean), 1e-3))
    z = (kept - mean) / sigma
    correlation = float(np.clip(np.dot(z[1:], z[:-1]) / max(float(np.dot(z, z)), 1e-30), -0.9, 0.9))
    if correlation > 2.0 / np.sqrt(len(kept)):
        sigma *= float(np.sqrt((1.0 + correlation) / (1.0 - correlation)))
    return InControl(mean, sigma, len(kept), len(values) - len(kept), correlation)


@dataclass(frozen=True, slots=True)
class Chart:
    """The two charts over the products after the baseline; everything in standard deviations.

    Attributes
    ----------
    z, ewma, ewma_limit, above, below : (n) float64
        ``ewma`` is in its band within ±``ewma_limit``; ``above`` and ``below`` are the CUSUMs.
    cusum_limit : float
    """

    z: np.ndarray
    ewma: np.ndarray
    ewma_limit: np.ndarray
    above: np.ndarray
    below: np.ndarray
    cusum_limit: float

    @property
    def ewma_out(self) -> np.ndarray:
        """Return (n) bool: the EWMA left its band."""
        return np.asarray(np.abs(self.ewma) > self.ewma_limit)

    @property
    def cusum_out(self) -> np.ndarray:
        """Return (n) bool: a CUSUM passed its limit."""
        return np.asarray(np.maximum(self.above, self.below) > self.cusum_limit)

    @property
    def out(self) -> np.ndarray:
        """Return (n) bool: either."""
        return np.asarray(self.ewma_out | self.cusum_out)


def control_chart(values: np.ndarray, reference: InControl) -> Chart:
    """Return the charts of the products that follow a baseline.

    Parameters
    ----------
    values : (n) float64
        In the order of sensing.
    reference : InControl
    """
    z = reference.standardise(values)
    ewma, above, below = np.zeros_like(z), np.zeros_like(z), np.zeros_like(z)
    w = high = low = 0.0
    for i, value in enumerate(z):
        w = SMOOTHING * value + (1.0 - SMOOTHING) * w
        high, low = max(0.0, high + value - ALLOWANCE), max(0.0, low - value - ALLOWANCE)
        ewma[i], above[i], below[i] = w, high, low
    left = (1.0 - SMOOTHING) ** np.arange(1, len(z) + 1)
    variance = SMOOTHING / (2.0 - SMOOTHING) * (1.0 - left**2) + (1.0 - left) ** 2 / reference.products
    return Chart(z, ewma, reference.ewma_limit * np.sqrt(variance), above, below, reference.cusum_limit)
