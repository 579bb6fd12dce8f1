"""Cloud masks of other distributions: found by entry point, named by the user, in the place of our confidence.

A distribution offers one in its ``pyproject.toml``::

    [project.entry-points."s2dask.cloud_masks"]
    s2cloudless = "my_package.masks:S2Cloudless"

What the entry point names is called without arguments and gives a `CloudMask`.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS

GROUP: Final = "s2dask.cloud_masks"
"""Name of the entry points."""


class CloudMask(Protocol):
    """An outside cloud mask.

    Attributes
    ----------
    bands : sequence of str
        Bands that it takes, such as ``B01``.
    margin : int
        How far its answer for a pixel depends on others, in cells of 60 m; 0 for a mask that works pixel by pixel. A
        true number makes the answer independent of the cut of a tile into blocks.
    """

    bands: tuple[str, ...]
    margin: int

    def __call__(self, reflectance: NDArray[np.float32], pixel: float) -> NDArray[np.floating]:
        """Return the probability that pixels are cloud.

        Parameters
        ----------
        reflectance : (y, x, band) float32 [1]
            Above the atmosphere, NaN without data, infinite where saturated.
        pixel : float [m]

        Returns
        -------
        (y, x) float [1]
            From 0 to 1; NaN where the mask does not say.
        """
        ...


def load_mask(name: str) -> CloudMask:
    """Return an installed cloud mask by the name of its entry point."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    where = f"cloud_mask = {name!r}"
    if name not in found:
        known = ", ".join(sorted(found)) or "none is installed"
        raise ConfigurationError("no such cloud mask", where, f"install what offers it; there is: {known}")
    mask: Any = found[name].load()()
    bands, margin = tuple(getattr(mask, "bands", ())), getattr(mask, "margin", None)
    if not bands or not set(bands) <= set(BANDS) or not isinstance(margin, int) or margin < 0 or not callable(mask):
        raise ConfigurationError("the mask lacks bands, margin or a call", where, "see s2dask.l2a.cloud_mask.CloudMask")
    return mask  # type: ignore[no-any-return]  # checked to be one


def told_by(
    mask: CloudMask, images: Mapping[str, NDArray[np.float32]], pixel: float, nothing: int
) -> NDArray[np.uint8]:
    """Return what a mask says of a window: (y, x) uint8 [%], `nothing` where it says nothing."""
    stacked = np.stack([images[name] for name in mask.bands], axis=-1)
    answer = np.asarray(mask(stacked, pixel), np.float32)
    silent = np.isnan(answer)
    bad = ~silent & ~((answer >= 0) & (answer <= 1))
    if answer.shape != stacked.shape[:2] or bad.any():
        said = f"shape {answer.shape}" if answer.shape != stacked.shape[:2] else f"values such as {answer[bad][0]:g}"
        raise InputError(f"probabilities of {said}", f"cloud mask {type(mask).__name__}", "mend it: 0 to 1 per pixel")
    return np.where(silent, nothing, np.floor(100.0 * np.nan_to_num(answer) + 0.5)).astype(np.uint8)
