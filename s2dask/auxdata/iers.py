"""Earth orientation: UT1-UTC and polar motion, from Bulletin A or as constants of a product's metadata."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError, InputMissing

_NUMBER = r"([-\d.]+)"
_RAPID = re.compile(
    rf"\s+\d\d\s+\d+\s+\d+\s+(\d{{5}})\s+{_NUMBER}\s+[\d.]+\s+{_NUMBER}\s+[\d.]+\s+{_NUMBER}\s+[\d.]+\s*$"
)
_PREDICTED = re.compile(rf"\s+\d{{4}}\s+\d+\s+\d+\s+(\d{{5}})\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}\s*$")


@dataclass(frozen=True, eq=False)
class EarthOrientation:
    """Daily Earth orientation parameters.

    Attributes
    ----------
    mjd : (day) float64
        Consecutive days, UTC.
    values : (3, day) float64
        Pole x, pole y [arcsec], UT1-UTC [s].
    origin : str
        File name, or ``constant``.
    """

    mjd: NDArray[np.float64]
    values: NDArray[np.float64]
    origin: str

    @classmethod
    def constant(cls, pole_x: float, pole_y: float, ut1_utc: float) -> "EarthOrientation":
        """Return parameters that hold at every date (IERS_Bulletin of the product metadata)."""
        return cls(np.empty(0), np.array([[pole_x], [pole_y], [ut1_utc]]), "constant")

    @classmethod
    def from_bulletin(cls, path: str | Path) -> "EarthOrientation":
        """Read the rapid and predicted rows of a Bulletin A text; what it is is found from its content."""
        file = Path(path)
        if not file.is_file():
            raise InputMissing("no such Bulletin A", str(path))
        rows: dict[int, tuple[float, float, float]] = {}
        for line in file.read_text("utf-8", errors="replace").splitlines():
            match = _RAPID.match(line) or _PREDICTED.match(line)
            if match:
                rows[int(match[1])] = (float(match[2]), float(match[3]), float(match[4]))
        days = sorted(rows)
        if len(days) < 4 or days[-1] - days[0] != len(days) - 1:
            raise InputError("no consecutive daily rows of a Bulletin A", file.name, "give the IERS text file")
        return cls(np.array(days, float), np.array([rows[d] for d in days]).T, file.name)

    def at(self, mjd: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return pole x, pole y [arcsec], UT1-UTC [s] at UTC dates (3, date), 4-point Lagrange.

        A date without two days on each side is refused: outside its table a bulletin says nothing, and taking zero
        costs 14 m on the ground.
        """
        m = np.atleast_1d(np.asarray(mjd, float))
        if self.mjd.size == 0:
            return np.repeat(self.values, m.size, axis=1)
        first = np.floor(m).astype(int) - int(self.mjd[0]) - 1
        if first.min() < 0 or first.max() + 3 >= self.mjd.size:
            raise InputError(
                f"Earth orientation of MJD {self.mjd[0]:.0f} to {self.mjd[-1]:.0f} does not cover MJD {m.min():.2f}",
                self.origin,
                "give the Bulletin A of the acquisition's month",
            )
        x = m - np.floor(m) + 1.0
        out = np.zeros((3, m.size))
        for i in range(4):
            weight = np.ones(m.size)
            for k in range(4):
                if k != i:
                    weight *= (x - k) / (i - k)
            out += weight * self.values[:, first + i]
        return out
