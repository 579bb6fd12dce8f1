"""What the instrument does to its images beside measuring, each by itself, and a whole session with all of it."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.auxdata.acquisition import Acquisition, read_acquisition, write_acquisition
from s2dask.auxdata.gipp_equalisation import onboard_table, read_r2eob2
from s2dask.auxdata.gipp_radiometry import read_r2crco, read_r2depi
from s2dask.auxdata.gipp_rearrangement import read_r2swir
from s2dask.auxdata.gipp_scenario import read_r2para
from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.quality import DEFECTIVE, NODATA, PARTIALLY_CORRECTED
from s2dask.io.strips import StripSource
from s2dask.production.chain import run
from s2dask.production.strip import strip_facts
from s2dask.simulate.effects import (
    NONE,
    draw_effects,
    draw_onboard,
    draw_stagger,
    equalise_on_board,
    nuc_table,
    optical_crosstalk,
    staggered,
)
from s2dask.simulate.gipp import gipp_name
from s2dask.simulate.options import EFFECTS, SimulationOptions
from s2dask.simulate.sensor import CROSSTALK, counts, draw_detector
from s2dask.simulate.session import simulate
from s2dask.simulate.truth import COLUMN_STEP, LINE_STEP


def test_effects_are_what_a_preset_says() -> None:
    effects = draw_effects(SimulationOptions())
    assert [len(found) for found in (effects.onboard, effects.stagger, effects.optical)] == [0, 0, 0]
    assert effects.leaks == CROSSTALK
    assert NONE.leaks == CROSSTALK
    assert SimulationOptions.of("none", seed=3) == SimulationOptions(seed=3)
    assert SimulationOptions.of("usual", seed=3) == SimulationOptions(seed=3, onboard_equalisation=True)


def test_presets_give_way_to_what_is_said_beside_them() -> None:
    options = SimulationOptions.of("all", dead_pixels=1)
    assert options.dead_pixels == 1
    assert (options.onboard_equalisation, options.rearranged_swir) == (True, True)
    assert options.optical_crosstalk == EFFECTS["all"]["optical_crosstalk"]
    with pytest.raises(ConfigurationError, match=r"effects 'some'.*usual, all"):
        SimulationOptions.of("some")


@settings(deadline=None)  # the first one compiles
@given(st.integers(0, 4095))
def test_the_on_board_equalisation_has_two_slopes(count: int) -> None:
    sent = equalise_on_board(np.full((1, 1296), count, np.uint16), onboard_table("B05", 400.0, 1.5, 0.5, 700.0))
    x = count - 400.0
    assert (sent == int(min(max(1.5 * x if x <= 700 else 0.5 * x + 700, 0.0) + 0.5, 4095))).all()


def test_tables_on_board_lose_no_count_and_differ() -> None:
    assert [nuc_table(name) for name in ("S2A", "S2B", "S2C", "S2D")] == [3, 2, 2, 2]
    two, three = (draw_onboard("B11", 6, 1, k) for k in (2, 3))
    assert (two.dark != three.dark).all()
    every = np.repeat(np.arange(445, 4096, dtype=np.uint16)[:, np.newaxis], 1296, axis=1)
    sent = equalise_on_board(every, three)
    assert (np.diff(sent.astype(int), axis=0) >= 1).all()


@pytest.mark.parametrize(("name", "step"), [("B10", 1 / 3), ("B12", 1.0)])
def test_staggered_pixels_see_the_ground_of_other_lines(name: str, step: float) -> None:
    shift, b = draw_stagger(name, 6, 1), band(name)
    assert set(np.unique(shift).tolist()) == {-1, 0, 1}
    ramp = np.arange(5, dtype=np.float32)[:, np.newaxis]
    seen = staggered(lambda first: np.tile(ramp + np.float32(first), (1, b.useful_columns)), name, shift)
    useful = shift[b.blind : b.raw_columns - b.blind]
    np.testing.assert_allclose(seen, ramp + step * useful, atol=1e-6)


def test_optical_crosstalk_is_between_neighbours_of_a_focal_plane() -> None:
    leaks = optical_crosstalk(0.01)
    assert len(leaks) == 2 * (9 + 2)
    assert all(BANDS[a].focal_plane == BANDS[b].focal_plane for a, b in leaks)
    assert set(leaks.values()) == {0.01}
    assert optical_crosstalk(0.0) == {}


def test_light_of_another_resolution_is_that_of_the_same_pixels() -> None:
    names, table = ("B02", "B05"), unit("S2A").bands
    states = {name: draw_detector(name, 6, 1, 0) for name in names}
    light = {
        name: np.tile(
            (np.arange(band(name).useful_columns) * (1.0 if name == "B05" else 0.5) / table[name].gain), (n, 1)
        )
        for name, n in (("B02", 200), ("B05", 100))
    }
    without, leaking = (
        counts({n: x.astype(np.float32) for n, x in light.items()}, states, table, 6, 1, leaks)
        for leaks in ({}, {("B02", "B05"): 0.02, ("B05", "B02"): 0.02})
    )
    for name in names:
        b = band(name)
        more = (leaking[name].astype(float) - without[name]).mean(0)[b.blind : b.raw_columns - b.blind]
        ramp = np.arange(b.useful_columns) * (1.0 if name == "B05" else 0.5)
        below = ramp < 3400
        np.testing.assert_allclose(more[below], 0.02 * ramp[below], rtol=0.05, atol=0.8)


def test_noisy_pixels_are_noisy_and_listed() -> None:
    state = draw_detector("B05", 6, 1, 3, 2)
    assert draw_detector("B05", 6, 1, 3).dead == state.dead
    assert not set(state.dead) & set(state.noisy)
    assert {k: len(v) for k, v in state.defects.items()} == {
        "SATURATED_RESPONSE": 2, "NO_RESPONSE": 1, "NOISY_RESPONSE": 2
    }  # fmt: skip
    table = unit("S2A").bands
    image = counts({"B05": np.full((300, 1276), 1000 / table["B05"].gain, np.float32)}, {"B05": state}, table, 6, 1)
    deviation = image["B05"].std(0)
    assert (deviation[list(state.noisy)] > 40).all()
    assert np.median(deviation) < 5


@given(st.booleans(), st.integers(0, 255))
def test_an_acquisition_is_read_as_written(tmp_path_factory: pytest.TempPathFactory, mode: bool, table: int) -> None:
    path = tmp_path_factory.mktemp("acquisition") / "acquisition.xml"
    path.write_text(write_acquisition(Acquisition(mode, table)), "utf-8")
    assert read_acquisition(path) == Acquisition(mode, table)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (">true<", ">yes<", r"acquisition.xml: EQUALIZATION_MODE: 'yes'"),
        (">3<", ">300<", r"acquisition.xml: NUC_TABLE_ID: '300'"),
        (">3<", "><", r"acquisition.xml: NUC_TABLE_ID: ''"),
        ("Acquisition_Configuration", "Other", r"acquisition.xml: Other instead of Acquisition_Configuration"),
    ],
)
def test_an_acquisition_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "acquisition.xml"
    path.write_text(write_acquisition(Acquisition(True, 3)).replace(old, new), "utf-8")
    with pytest.raises(InputError, match=message):
        read_acquisition(path)


@pytest.mark.row("OPS-26")
def test_a_session_with_every_effect_comes_out_as_the_truth(tmp_path: Path) -> None:
    names, detector = ("B01", "B05", "B10", "B11", "B12"), 7
    options = SimulationOptions.of(
        "all", detectors=(detector,), bands=names, scenes=1, window=600, codec="raw12", seed=4, unit="S2B"
    )
    folder = Path(simulate(str(tmp_path / "session"), options))
    held = folder / "aux/gipp"
    assert sorted(read_r2eob2(held / gipp_name("S2B", "R2EOB2", "B05"), "S2B", "B05").tables) == [2, 3]
    assert read_r2crco(held / gipp_name("S2B", "R2CRCO"), "S2B").optical.any()
    assert read_r2para(held / gipp_name("S2B", "R2PARA"), "S2B").crosstalk_optical
    assert any(s.any() for s in read_r2swir(held / gipp_name("S2B", "R2SWIR"), "S2B").lines.values())
    assert len(read_r2depi(held / gipp_name("S2B", "R2DEPI"), "S2B").columns["B05", detector]) == 6
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        summary = run(str(folder), client=client, to="L1B", out=str(tmp_path / "out"))
    (path,) = [p for p in summary.products if p.endswith(".zarr") and "L1B" in p]
    assert strip_facts(path).nuc_table == 2
    truth, table = zarr.open_group(folder / "truth.zarr", mode="r"), unit("S2B").bands
    for name in names:
        b = band(name)
        image, quality = StripSource(path).read(detector, name, 0, b.lines_per_scene)
        wanted = np.asarray(truth[f"radiance/d{detector:02d}/{name.lower()}"][...], float) * table[name].gain
        error = (image.astype(float) - 100)[::LINE_STEP, ::COLUMN_STEP] - wanted
        # neighbours of B01 and B05 on the focal plane are not in the session: what leaks from them stays and is flagged
        assert ((quality & PARTIALLY_CORRECTED) != 0).all() == (name in ("B01", "B05"))
        unsure = (quality & (NODATA | DEFECTIVE))[::LINE_STEP, ::COLUMN_STEP] != 0
        # what reaches the end of the converter is no measure of the brightest clouds
        known = ~unsure & (wanted < 3500)
        variance = (table[name].noise_alpha ** 2 + table[name].noise_beta * wanted + 1 / 12) / b.binning + 1 / 12
        found = (error / np.sqrt(variance))[known]
        assert known.mean() > 0.8
        # all but the edges of clouds, and the pixels that a defective one leaks into
        believed = np.abs(found) < 5
        assert believed.mean() > 0.97
        # whole counts round the even darkness of B10 all to the same side
        assert abs(found[believed].mean()) < (0.15 if name == "B10" else 0.1)
        # and so does what they round away: B10 has less noise than a count
        assert 0.9 < found[believed].std() < (1.15 if name == "B10" else 1.1)
