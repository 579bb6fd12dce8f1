"""The clouds of a tile beside those that its L1C states."""

from collections.abc import Mapping
from typing import Any, Final

CLOUDS: Final = ("medium_proba_clouds", "high_proba_clouds", "thin_cirrus")
"""Classes that the mission counts as clouds."""
SOME: Final = 0.1
"""Share of clouds in the L1C from which on Level-2A is to find some too [%]."""


def cloud_indicators(shares: Mapping[str, float], attrs: Mapping[str, Any]) -> dict[str, float]:
    """Return the clouds of a tile.

    Parameters
    ----------
    shares : mapping of str to float
        ``thin_cirrus_percentage`` … of each class [%].
    attrs : mapping
        Of the L1C: its ``cloud_percentage`` [%], if it is told.

    Returns
    -------
    dict
        ``cloud_percentage``; ``cloud_minus_l1c``, by how much it is more than in the L1C [%]; and, where the L1C has
        some, ``cloud_of_l1c``, how many times as much [1].
    """
    found, stated = sum(shares[f"{name}_percentage"] for name in CLOUDS), attrs.get("cloud_percentage")
    out = {"cloud_percentage": found}
    if isinstance(stated, int | float) and 0.0 <= stated <= 100.0:  # percent
        out["cloud_minus_l1c"] = found - stated
        if stated >= SOME:
            out["cloud_of_l1c"] = found / stated
    return out
