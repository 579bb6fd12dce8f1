"""The noise of a corrected count: what the uncertainty of the products starts from."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def noise_sigma(counts: ArrayLike, alpha: float, beta: float) -> NDArray[np.float32]:
    """Return the standard deviation of the noise of equalised counts.

    Parameters
    ----------
    counts : array_like [LSB]
        Equalised counts Z = A L, without the offset of the coding; below zero the noise is that of no light.
    alpha, beta : float
        Noise model of the band [LSB], [LSB].

    Returns
    -------
    float32 [LSB]
        Of the same shape; NaN where the count is.

    Notes
    -----
    ``sigma^2 = alpha^2 + beta Z`` (GIP_R2NOMO ``ALPHA``, ``BETA``): alpha from images of the dark, beta from those of
    the sun diffuser.
    """
    light = np.maximum(np.asarray(counts, np.float32), np.float32(0))
    sigma: NDArray[np.float32] = np.sqrt(np.float32(alpha) ** 2 + np.float32(beta) * light)
    return sigma
