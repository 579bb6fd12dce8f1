"""Options of a session that make no sense are refused, with what would."""

from typing import Any

import pytest

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS
from s2dask.simulate.options import SimulationOptions


def test_defaults_are_two_detectors_of_all_bands() -> None:
    options = SimulationOptions()
    assert options.detectors == (6, 7)
    assert options.bands == tuple(BANDS)
    assert (options.lose_frames, options.bit_errors, options.dead_pixels) == (0, 0.0, 0)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"detectors": ()}, "detector"),
    ({"detectors": (0,)}, r"detector \[0\]"),
    ({"detectors": (6, 13)}, r"detector \[13\]"),
    ({"detectors": (6, 6)}, r"detector \(6, 6\).*each once"),
    ({"bands": ()}, "band"),
    ({"bands": ("B13",)}, r"band \['B13'\]"),
    ({"bands": ("B02", "B02")}, "band .*each once"),
    ({"unit": "S1A"}, r"unit \['S1A'\].*S2A"),
    ({"scenes": 0}, "0 scenes; from 1 to 60"),
    ({"scenes": 61}, "61 scenes"),
    ({"window": 20_050}, "window of 20050 m; use a multiple of 60 m"),
    ({"window": 540}, "window = 540; from 600 to 60000"),
    ({"window": 60_060}, "window = 60060"),
    ({"aot": -0.01}, r"aot = -0.01; from 0.0 to 1.0"),
    ({"aot": float("nan")}, "aot = nan"),
    ({"water_vapour": 0.0}, "water_vapour = 0.0"),
    ({"ozone": 1000.0}, "ozone = 1000.0"),
    ({"pressure": 101_325.0}, "pressure = 101325.0; from 900.0 to 1060.0"),
    ({"cloud_cover": 0.7}, "cloud_cover = 0.7"),
    ({"lose_frames": -1}, "lose_frames = -1"),
    ({"bit_errors": 0.5}, "bit_errors = 0.5"),
    ({"bit_errors": float("inf")}, "bit_errors = inf"),
    ({"dead_pixels": 51}, "dead_pixels = 51"),
    ({"seed": -1}, "seed = -1"),
    ({"seed": 2**31}, "seed = 2147483648"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[str(w) for w, _ in WRONG])
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"simulate: {message}") as caught:
        SimulationOptions(**wrong)
    assert caught.value.remedy
