"""What a simulated session is to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, DETECTORS, UNITS

EFFECTS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "none": {},
        "usual": {"onboard_equalisation": True},
        "all": {
            "onboard_equalisation": True, "rearranged_swir": True, "optical_crosstalk": 2e-3, "dead_pixels": 4,
            "noisy_pixels": 2,
        },
    }
)  # fmt: skip
"""Options of the instrument by the name of a preset: ``usual``, as the mission flies, ``none``, or ``all`` that it can
do to its images."""


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """Options of a simulated session.

    Attributes
    ----------
    detectors : tuple of int
    bands : tuple of str
    scenes : int or None
        Scenes of 3.6 s; None: as many as every band needs to see the whole window.
    unit : str
    seed : int
        Landscape, coefficients, noise and defects all follow from it.
    window : int
        Edge of the square that every band sees [m], a multiple of 60.
    aot : float
        Aerosol optical thickness at 550 nm, above sea level.
    water_vapour : float
        Column at sea level [cm].
    ozone : float
        [DU].
    pressure : float
        At mean sea level [hPa].
    cloud_cover : float
        Share of the sky with clouds [1].
    geometry : str or None
        Folder of a real L1B datastrip whose orbit, attitude, viewing directions and DEM are used.
    lose_frames : int
        Frames dropped at random.
    bit_errors : float
        Probability that a byte of a frame is received wrong.
    dead_pixels : int
        Defective pixels of each detector and band.
    noisy_pixels : int
        Pixels of each detector and band with much more noise than the others.
    onboard_equalisation : bool
        Whether the instrument equalises before it compresses, with the NUC table that its unit uses in operations.
    rearranged_swir : bool
        Whether the pixels of the SWIR arrays are staggered over three lines, which the ground has to re-arrange.
    optical_crosstalk : float
        Share of every band in its neighbours on the focal plane [1].
    codec : str
        ``ccsds122``, at the mission's fixed rates, or ``raw12``, uncompressed.
    attitude_noise : float
        Deviation of the error of the measured attitude about each axis [rad]; 3e-7 are 0.24 m on the ground.
    surroundings : bool
        Whether the air scatters light of the surroundings into the sight of a pixel; else of the pixel's own kind.
    slopes : bool
        Whether ground receives light as it faces the sun and the sky; else as if it were level.
    """

    detectors: tuple[int, ...] = (6, 7)
    bands: tuple[str, ...] = tuple(BANDS)
    scenes: int | None = None
    unit: str = "S2A"
    seed: int = 1
    window: int = 20_040
    aot: float = 0.15
    water_vapour: float = 2.0
    ozone: float = 300.0
    pressure: float = 1016.0
    cloud_cover: float = 0.10
    geometry: str | None = None
    lose_frames: int = 0
    bit_errors: float = 0.0
    dead_pixels: int = 0
    noisy_pixels: int = 0
    onboard_equalisation: bool = False
    rearranged_swir: bool = False
    optical_crosstalk: float = 0.0
    codec: str = "ccsds122"
    attitude_noise: float = 3e-7
    surroundings: bool = True
    slopes: bool = True

    def __post_init__(self) -> None:
        for kind, values, known in (
            ("detector", self.detectors, DETECTORS),
            ("band", self.bands, tuple(BANDS)),
            ("unit", (self.unit,), tuple(UNITS)),
            ("codec", (self.codec,), ("ccsds122", "raw12")),
        ):
            wrong = [v for v in values if v not in known]
            if wrong or not values or len(set(values)) != len(values):
                raise ConfigurationError(f"{kind} {wrong or values}", "simulate", f"choose among {known}, each once")
        limits = {
            "aot": (0.0, 1.0), "water_vapour": (0.1, 7.0), "ozone": (50.0, 600.0), "pressure": (900.0, 1060.0),
            "cloud_cover": (0.0, 0.6), "lose_frames": (0, 100_000), "bit_errors": (0.0, 0.01), "dead_pixels": (0, 50),
            "noisy_pixels": (0, 50), "optical_crosstalk": (0.0, 0.02), "attitude_noise": (0.0, 1e-4),
            "window": (600, 60_000), "seed": (0, 2**31 - 1),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigurationError(f"{name} = {getattr(self, name)}", "simulate", f"from {low} to {high}")
        if self.window % 60:
            raise ConfigurationError(f"window of {self.window} m", "simulate", "use a multiple of 60 m")
        if self.scenes is not None and not 1 <= self.scenes <= 60:
            raise ConfigurationError(f"{self.scenes} scenes", "simulate", "from 1 to 60")

    @classmethod
    def of(cls, effects: str, **others: Any) -> "SimulationOptions":
        """Return the options of a preset of `EFFECTS`, with others that go before it."""
        if effects not in EFFECTS:
            raise ConfigurationError(f"effects {effects!r}", "simulate", f"choose among {', '.join(EFFECTS)}")
        return cls(**{**EFFECTS[effects], **others})
