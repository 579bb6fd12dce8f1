"""How an order or a person wants orthoimages resampled, and what the GIPPs say where they leave it open."""

from dataclasses import dataclass, replace
from typing import Any, Final

from s2dask.auxdata.gipp_filters import InternalFilter
from s2dask.auxdata.gipp_resampling import ResamplingParameters
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.gipp_types import gipp_type
from s2dask.errors import ConfigurationError, InputError
from s2dask.l1c.footprint import CUTS, Cut
from s2dask.l1c.noise_gain import mean_gain
from s2dask.l1c.resampling import FILTERS, Filter, filter_of

DEFAULT: Final = "bspline"
"""Interpolation where neither the order nor GIP_RESPAR names one."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How a tile is resampled.

    Attributes
    ----------
    interpolation : str, optional
        One of `s2dask.l1c.resampling.INTERPOLATIONS`, or a name of GIP_RESPAR; default: that of GIP_RESPAR
        among the GIPPs, ``bspline`` without one.
    cut : Cut
        Who keeps the overlap of two detectors, see `s2dask.l1c.footprint.choose`.
    noise_gain : bool
        Keep the sums of squared weights as a layer.
    uncertainty : bool
        Make the layer of the uncertainty of the reflectance of every pixel.
    """

    interpolation: str | None = None
    cut: Cut = "middle"
    noise_gain: bool = False
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.interpolation is not None:
            filter_of(self.interpolation)
        if self.cut not in CUTS:
            raise ConfigurationError(f"cut {self.cut!r}", "overlap of detectors", f"one of {', '.join(CUTS)}")

    def settled(self, gipps: GippSet) -> "Resampling":
        """Return the same with the interpolation named, that of GIP_RESPAR if it was left open."""
        if self.interpolation is not None:
            return self
        return replace(self, interpolation=_filter_of_gipp(gipps) if gipps.has("RESPAR") else DEFAULT)

    def facts(self) -> dict[str, Any]:
        """Return what the attributes of a tile state of it."""
        chosen = filter_of(self.interpolation or DEFAULT)
        return {
            "filter": chosen, "cut": self.cut, "noise_gain": self.noise_gain, "toa_uncertainty": self.uncertainty,
            "mean_noise_gain": round(mean_gain(chosen), 6),
        }  # fmt: skip


def _filter_of_gipp(gipps: GippSet) -> Filter:
    path = gipps.path("RESPAR")
    parameters: ResamplingParameters = gipp_type("RESPAR").read(path, gipps.unit)
    chosen = parameters.filter
    name = chosen.name if isinstance(chosen, InternalFilter) else "an external kernel"
    if name not in FILTERS:
        raise InputError(
            f"RESAMPLING_FILTER {name} is none of {', '.join(FILTERS)}", path.name, "choose one with --interpolation"
        )
    return filter_of(name)


USUAL: Final = Resampling()
"""As the GIPPs say."""
