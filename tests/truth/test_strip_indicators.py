"""Indicators of a datastrip: a clean strip passes, a seeded defect raises its own indicator by as much as told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from closure_model import DETECTOR, Floats, Instrument, select, sigma

from s2dask.auxdata.gipp_radiometry import read_r2crco
from s2dask.auxdata.gipp_radiometry_text import write_r2crco
from s2dask.auxdata.gipp_set import GippSet
from s2dask.instrument import BANDS
from s2dask.instrument.telemetry import PACKET_PRIMARY_BYTES, apid
from s2dask.io.schema import packet_path
from s2dask.production import strip
from s2dask.production.l1a_strip import start_l1a, write_l1a_granule
from s2dask.qc.indicators import indicators_of
from s2dask.simulate.coding import primary_header
from s2dask.simulate.options import SimulationOptions

LINES, DARK = 2304, 450.0
NAMES = ("B04", "B10", "B11", "B12")
Raw = dict[str, np.ndarray]
Defect = Callable[[Raw], None]


def fields(name: str, line: Floats, column: Floats) -> Floats:
    """Return land in fields that lie askew to the track, half of them rough; bands pass over it one after the other."""
    random = np.random.default_rng(9)
    level, along = random.uniform(0.7, 1.3, (700, 70)), line + 1700 * BANDS[name].index
    i, j = (along / 97).astype(int) % 700, ((column + 0.13 * along) / 61).astype(int) % 70
    rough = 0.1 * np.sin(along / 23) * np.sin(column / 19) * (level[(i + 1) % 700, j] > 1)
    return np.asarray((80 if name == "B10" else 800) * level[i, j] * (1 + rough))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[Instrument, GippSet, Raw]:
    options = SimulationOptions(detectors=(DETECTOR,), bands=NAMES, scenes=1, dead_pixels=3)
    instrument, folder = Instrument.of(options), tmp_path_factory.mktemp("gipp")
    return instrument, instrument.gipps(folder), instrument.raw(fields, LINES)


@pytest.fixture(autouse=True)
def _fresh_facts() -> Iterator[None]:
    strip.strip_facts.cache_clear()
    yield
    strip.strip_facts.cache_clear()


def _made(bench: tuple[Instrument, GippSet, Raw], folder: Path, *defects: Defect) -> dict[str, Any]:
    instrument, gipps, clean = bench
    raw = {name: image.copy() for name, image in clean.items()}
    for defect in defects:
        defect(raw)
    l0, l1b = instrument.strip(folder / "l0.zarr", raw), str(folder / "l1b.zarr")
    strip.start_l1b(l0, l1b)
    return strip.finish_images(l1b, [strip.write_scene(l0, l1b, gipps, DETECTOR, 0)])


def _light(raw: Raw, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change what a band sees, above its dark signal."""
    raw[name][...] = np.clip(np.rint(DARK + change(raw[name] - DARK)), 0, 4095)


def _stripes(raw: Raw) -> None:
    gains = np.random.default_rng(3).normal(1, 0.01, raw["B04"].shape[1])
    _light(raw, "B04", lambda light: light * gains)


def _odd_even(raw: Raw) -> None:
    _light(raw, "B04", lambda light: light * (1 + 0.005 * np.where(np.arange(light.shape[1]) % 2, -1, 1)))


def _offset(raw: Raw) -> None:
    raw["B11"] += 8


def _sides(raw: Raw) -> None:
    raw["B12"][:, :100] += 4


def _bad_columns(raw: Raw) -> None:
    _light(raw, "B04", lambda light: light * np.where(np.arange(light.shape[1]) == 1000, 1.05, 1))
    raw["B04"][:, 1500], raw["B04"][:, 700], raw["B04"][:, 400] = 4095, 20, 1200


def _noise(raw: Raw) -> None:
    draw = np.random.default_rng(4).normal(0, np.sqrt(3), raw["B04"].shape)
    _light(raw, "B04", lambda light: light + draw * sigma("B04", np.maximum(light, 0)))


def _crosstalk(raw: Raw) -> None:
    seen = (raw["B11"] - DARK).reshape(LINES // 6, 3, -1).mean(axis=1)
    _light(raw, "B10", lambda light: light - 2 * 3.98e-3 * seen)


Expected = tuple[str, str, float, float]
"""Check that finds a defect, the indicator that tells it, its value and tolerance."""
DEFECTS: dict[str, tuple[tuple[Defect, ...], tuple[Expected, ...]]] = {
    "crosstalk thrice, stripes, offset, sides": (
        (_crosstalk, _stripes, _offset, _sides),
        (
            # the rest of B12's share of the expected crosstalk is in order: 2 * 3.98^2 / (3.98^2 + 1.78^2)
            ("Ghost_Index", "d06.b10.ghost_index", 1.67, 0.3),
            ("Stripe_Index", "d06.b04.stripe_index", 1.0, 0.05),
            ("Blind_Pixel_Offset", "d06.b11.blind_pixel_offset", 8.0, 0.1),
            ("Blind_Pixel_Residual", "d06.b12.blind_pixel_residual", 2.0, 0.05),
        ),
    ),
    # a step between columns is a pattern too: half the step
    "step of 1 %": (
        (_odd_even,),
        (("Odd_Even_Step", "d06.b04.odd_even_step", 1.0, 0.02), ("Stripe_Index", "d06.b04.stripe_index", 0.51, 0.03)),
    ),
    "bad columns": ((_bad_columns,), (("Bad_Columns", "d06.b04.bad_columns", 4.0, 0.1),)),
    "noise doubled": ((_noise,), (("Signal_To_Noise", "d06.b04.noise_ratio", 2.0, 0.1),)),
}


def test_a_clean_strip_stays_inside_its_bands(bench: tuple[Instrument, GippSet, Raw], tmp_path: Path) -> None:
    made = _made(bench, tmp_path)
    assert {check["status"] for check in made["checks"]} == {"PASSED"}
    record = made["record"]
    assert not [name for name in record if ":" in name]
    for name in NAMES:
        prefix = f"d06.{name.lower()}"
        assert abs(record[f"{prefix}.blind_pixel_offset"]) < 0.5
        assert abs(record[f"{prefix}.blind_pixel_residual"]) < 0.05
        # patches of 32 columns of 60 m are hardly ever uniform
        assert 0.95 < record[f"{prefix}.noise_ratio"] < (2.0 if name == "B10" else 1.15)
        assert record[f"{prefix}.bad_columns"] == 0
    for name in ("B04", "B11", "B12"):
        assert record[f"d06.{name.lower()}.stripe_index"] < 0.1
        assert abs(record[f"d06.{name.lower()}.odd_even_step"]) < 0.02
    # the simulator's noise at the reference radiance: that of the unit, and two roundings
    assert record["d06.b04.signal_to_noise"] == pytest.approx(218, rel=0.06)
    assert record["d06.b10.crosstalk_index"] == pytest.approx(1, abs=0.3)
    assert record["d06.b10.ghost_index"] == pytest.approx(0, abs=0.3)
    found = {(i.indicator, i.band, i.detector): i.value for i in indicators_of({"level": "L1B", "record": record})}
    assert found["stripe_index", "B04", 6] == record["d06.b04.stripe_index"]


@pytest.mark.parametrize("title", DEFECTS)
def test_a_seeded_defect_raises_its_own_indicator(
    bench: tuple[Instrument, GippSet, Raw], tmp_path: Path, title: str
) -> None:
    defects, expected = DEFECTS[title]
    made = _made(bench, tmp_path, *defects)
    failed = {c["id"]: c["message"] for c in made["checks"] if c["status"] == "FAILED"}
    assert set(failed) - {"Saturated_Pixels"} == {check for check, *_ in expected}
    for check, indicator, value, tolerance in expected:
        assert made["record"][indicator] == pytest.approx(value, abs=tolerance)
        assert indicator.split(".")[1].upper() in failed[check]


def test_l1a_tells_its_blind_pixels(bench: tuple[Instrument, GippSet, Raw], tmp_path: Path) -> None:
    instrument, gipps, clean = bench
    raw = {name: image.copy() for name, image in clean.items()}
    _offset(raw)
    l0, l1a = instrument.strip(tmp_path / "l0.zarr", raw), str(tmp_path / "l1a.zarr")
    start_l1a(l0, l1a, gipps)
    made = strip.finish_images(l1a, [write_l1a_granule(l0, l1a, gipps, DETECTOR, 0)])
    assert made["record"]["d06.b11.blind_pixel_offset"] == pytest.approx(8, abs=0.1)
    assert made["record"]["d06.b10.crosstalk_index"] == pytest.approx(1, abs=0.3)
    assert [c["id"] for c in made["checks"] if c["status"] == "FAILED"] == ["Blind_Pixel_Offset"]


def test_crosstalk_is_looked_for_where_the_gipp_tells_none(
    bench: tuple[Instrument, GippSet, Raw], tmp_path: Path
) -> None:
    instrument, _, clean = bench
    path = Path(instrument.gipps(tmp_path / "gipp").path("R2CRCO"))
    told = read_r2crco(path, "S2A")
    path.write_text(write_r2crco(replace(told, electrical=np.zeros_like(told.electrical))), "utf-8")
    made = _made((instrument, select(tmp_path / "gipp"), clean), tmp_path)
    assert made["record"]["d06.b10.ghost_index"] == pytest.approx(1, abs=0.3)
    assert [c["id"] for c in made["checks"] if c["status"] == "FAILED"] == ["Ghost_Index"]


def test_lines_of_another_place_are_missing_and_not_shown(
    bench: tuple[Instrument, GippSet, Raw], tmp_path: Path
) -> None:
    instrument, _, clean = bench
    l0 = instrument.strip(tmp_path / "l0.zarr", clean)
    array: Any = zarr.open_group(l0, mode="r+")[f"{packet_path(DETECTOR, 'B04')}/packets"]
    packets, b04 = np.asarray(array[...]), apid(DETECTOR, BANDS["B04"].index)
    packets[:, :PACKET_PRIMARY_BYTES] = primary_header(b04, np.arange(len(packets)), packets.shape[1])
    packets[[40, 100]] = packets[[100, 40]]
    array[...] = packets
    for start, stop in ((0, LINES), (640, 656), (1590, 1610)):
        first, found = strip.raw_lines(l0, DETECTOR, "B04", start, stop)
        expected = np.isin((first + np.arange(found.bad.size)) // 16, (40, 100))
        np.testing.assert_array_equal(found.bad, expected)
