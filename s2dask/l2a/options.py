"""What the correction of a tile takes into account, and what it tells."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from s2dask.errors import ConfigurationError

AEROSOLS: Final = ("continental", "maritime")
"""Models of the aerosol."""
SLOPES: Final = ("auto", "on", "off")


@dataclass(frozen=True, slots=True)
class Corrections:
    """What the correction of a tile takes into account.

    Attributes
    ----------
    aerosol : str
        Model of the aerosol, one of `AEROSOLS`.
    surroundings : bool
        The light that the ground within a kilometre scatters into the sight of a pixel.
    slopes : {"auto", "on", "off"}
        The light that slopes receive; ``auto``: where more than 5 % of the cells are steep.
    cirrus : bool
        Take thin cirrus off.
    uncertainty : bool
        Make layers of how well surface reflectance is known.
    """

    aerosol: str = "continental"
    surroundings: bool = True
    slopes: Literal["auto", "on", "off"] = "auto"
    cirrus: bool = False
    uncertainty: bool = True

    def __post_init__(self) -> None:
        if self.aerosol not in AEROSOLS:
            raise ConfigurationError(f"no aerosol {self.aerosol}", "L2A", f"choose {' or '.join(AEROSOLS)}")
        if self.slopes not in SLOPES:
            raise ConfigurationError(f"slopes {self.slopes!r}", "L2A", f"choose {', '.join(SLOPES)}")

    def facts(self) -> dict[str, Any]:
        """Return what the attributes of a tile state."""
        return asdict(self)


DEFAULT: Final = Corrections()
