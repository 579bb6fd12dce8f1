"""Whole sessions: the same from the same seed, decoded to what was simulated, with the defects that were asked for."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from lxml import etree
from session_model import Simulated

from s2dask.auxdata.cams import read_cams
from s2dask.auxdata.gipp_radiometry import read_r2depi
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.meteo import read_meteo
from s2dask.auxdata.time import gps_to_utc
from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, LINE_PERIOD, band, unit
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.simulate.auxiliary import FORECAST_ERROR
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.platform import POLE
from s2dask.simulate.sensor import draw_detector, line_offset
from s2dask.simulate.session import simulate
from s2dask.simulate.truth import COLUMN_STEP, LINE_STEP


def _hashes(folder: Path) -> dict[str, str]:
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_seed_makes_one_session_byte_by_byte(tiny: Simulated, make: Callable[..., Simulated]) -> None:
    again, first = _hashes(make().folder), _hashes(tiny.folder)
    assert again == first
    assert sum(name.endswith(".raw") for name in first) == 2


def test_a_landscape_imaged_in_pieces_makes_the_same_counts(
    tiny: Simulated, make: Callable[..., Simulated], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2dask.simulate.session.LARGEST", 0)
    pieces = make()
    for name in tiny.plan.bands:
        assert np.array_equal(pieces.lines[name], tiny.lines[name])
        assert np.array_equal(pieces.counts[name], tiny.counts[name])


def test_another_seed_makes_another_session(tiny: Simulated, poor: Simulated) -> None:
    for name in tiny.plan.bands:
        both = tiny.lines[name] & poor.lines[name]
        assert (tiny.counts[name][both] != poor.counts[name][both]).mean() > 0.5


def test_a_clean_link_loses_nothing(tiny: Simulated) -> None:
    counters = tiny.plan.counters
    packets = ("lost_packets", "degraded_packets")
    wrong = (*packets, "missing_frames", "uncorrectable_frames", "corrected_frames", "skipped_bytes")
    assert {key: counters[key] for key in wrong} == dict.fromkeys(wrong, 0)
    assert counters["packets"] == 2 * 24
    assert (tiny.plan.detectors, tiny.plan.bands, tiny.plan.scenes) == ((6,), ("B01", "B09"), 1)


@pytest.mark.row("IPF-01")
def test_defects_of_the_link_are_those_asked_for(poor: Simulated) -> None:
    counters = poor.plan.counters
    assert counters["missing_frames"] == 3
    assert counters["uncorrectable_frames"] == 0
    symbols = counters["frames"] * (CADU_BYTES - 4) * 0.001
    assert abs(counters["corrected_symbols"] - symbols) < 5 * np.sqrt(symbols)
    # a frame holds the end of one packet and the beginning of the next, at most
    assert 1 <= counters["lost_packets"] <= 6


@pytest.mark.parametrize("channel", [1, 2])
def test_dsib_tells_what_is_there(tiny: Simulated, channel: int) -> None:
    (path,) = tiny.folder.rglob(f"*_ch{channel}_DSIB.xml")
    root = etree.parse(path).getroot()
    listed = [e.text for e in root.findall("dsdb_list/dsdb_name")]
    there = sorted(p.name for p in path.parent.glob("*.raw"))
    assert listed == there
    assert int(root.findtext("data_size")) == sum((path.parent / n).stat().st_size for n in there)
    assert root.findtext("session_id") == path.name.removeprefix("DCS_01_").removesuffix(f"_ch{channel}_DSIB.xml")
    begin, end = root.findtext("time_start"), root.findtext("time_stop")
    assert begin == gps_to_utc(tiny.plan.start).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert begin < end


@pytest.mark.parametrize("name", ["B01", "B09"])
def test_counts_are_the_true_radiance_behind_the_detector(tiny: Simulated, name: str) -> None:
    """Undo the detector with its drawn coefficients: what remains is noise of the known size around the truth."""
    b, table = band(name), unit("S2A").bands[name]
    state = draw_detector(name, 6, 1, 3)
    raw = tiny.counts[name].astype(float)
    rows = np.arange(b.lines_per_scene)
    light = raw - state.dark[rows % b.chronogram_lines] - line_offset(name, 6, rows.size, 1)[:, None]
    blind = light[:, : b.blind]
    assert abs(blind.mean()) < 0.05
    np.testing.assert_allclose(blind.std(), np.hypot(table.noise_alpha, np.sqrt(1 / 12)), rtol=0.05)
    a, c2, c1 = state.response
    counts = ((a * light + c2) * light + c1) * light
    counts[:, list(state.dead)] = np.nan
    counts[raw == 4095] = np.nan
    useful = counts[:, b.blind : b.blind + b.columns * b.binning].reshape(rows.size, b.columns, b.binning).mean(2)
    truth = zarr.open_group(tiny.folder / "truth.zarr", mode="r")[f"radiance/d06/{name.lower()}"]
    assert isinstance(truth, zarr.Array)
    level = np.asarray(truth[...], float) * table.gain
    error = useful[::LINE_STEP, ::COLUMN_STEP] - level
    known = np.isfinite(error)
    assert known.mean() > 0.95
    assert abs(error[known].mean()) < 0.1
    sigma = np.sqrt((table.noise_alpha**2 + table.noise_beta * level[known] + 1 / 12) / b.binning)
    assert 0.9 < (error[known] / sigma).std() < 1.1


def test_dead_pixels_are_dead_and_listed(tiny: Simulated) -> None:
    for name in tiny.plan.bands:
        dead = draw_detector(name, 6, 1, 3).dead
        assert len(dead) == 3
        columns = tiny.counts[name][:, list(dead)]
        assert [set(c.tolist()) for c in columns.T] == [{4095}, {0}, {4095}]
        assert ((tiny.counts[name] > 0) & (tiny.counts[name] < 4095)).all(0).sum() >= band(name).raw_columns - 3
        (path,) = (tiny.folder / "aux" / "gipp").glob("*R2DEPI*")
        assert read_r2depi(path, "S2A").columns[name, 6] == dead


@pytest.mark.row("IPF-03")
def test_dates_are_those_of_the_pass(tiny: Simulated) -> None:
    """Both bands start at the date of the pass, and lines follow each other in the period of the mission."""
    for table in tiny.plan.tables.values():
        assert abs(table.first_line_date - tiny.plan.start) <= 60
        steps = np.diff(table.time) - 16 * 6 * LINE_PERIOD * 1e9
        assert np.abs(steps).max() <= 120
    assert tiny.plan.residual <= 90


def test_orbit_and_attitude_surround_the_imaging(tiny: Simulated) -> None:
    plan = tiny.plan
    for samples in (plan.points, plan.attitude):
        assert samples.time[0] < plan.start - 20e9
        assert samples.time[-1] > plan.stop + 20e9
    assert set(np.diff(plan.points.time).tolist()) == {10**9}
    assert set(np.diff(plan.attitude.time).tolist()) == {10**8}
    np.testing.assert_allclose(np.linalg.norm(plan.attitude.values, axis=1), 1, rtol=1e-12)
    # position and velocity belong together
    middle = (plan.points.values[2:, :3] - plan.points.values[:-2, :3]) / 2
    np.testing.assert_allclose(middle, plan.points.values[1:-1, 3:], atol=2.0)


def test_auxiliary_files_are_found_by_their_readers(tiny: Simulated) -> None:
    aux = tiny.folder / "aux"
    dates = [gps_to_utc(t) for t in (tiny.plan.start, tiny.plan.stop)]
    gipps = GippSet.open(aux / "gipp", "S2A", *dates)
    for kind, name in (("R2EQOG", "B01"), ("VIEDIR", "B09"), ("R2ABCA", "B00"), ("SPAMOD", "B00"), ("BLINDP", "B00")):
        assert (gipps.path(kind, name) if name != "B00" else gipps.path(kind)).is_file()
    eop = EarthOrientation.from_bulletin(aux / "iers" / "bulletina.txt")
    np.testing.assert_allclose(eop.at(np.array([59077.5]))[:, 0], POLE, atol=1e-9)
    assert (aux / "dem" / "SEA").is_file()
    options = SimulationOptions()
    centre = zarr.open_group(tiny.folder / "truth.zarr", mode="r").attrs["centre"]
    assert isinstance(centre, list)
    weather = read_meteo(aux / "meteo" / "AUX_ECMWFT").at(*centre)
    assert float(weather.water_vapour) == pytest.approx(options.water_vapour, rel=1e-6)
    air = read_cams(aux / "meteo" / "AUX_CAMSFO")
    assert float(air.at(*centre)) == pytest.approx(FORECAST_ERROR * options.aot, rel=1e-6)


def test_truth_names_the_options(tiny: Simulated) -> None:
    attrs = zarr.open_group(tiny.folder / "truth.zarr", mode="r").attrs.asdict()
    assert attrs["options"]["seed"] == 1
    assert attrs["detectors"] == [6]
    assert attrs["window"][2:] == [1200, 1200]
    assert attrs["crs"] == "EPSG:32628"
    assert set(BANDS) > {"B01", "B09"}


def test_folders_with_something_else_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConfigurationError, match="folder holds something else than a session"):
        simulate(str(tmp_path), SimulationOptions(detectors=(6,), bands=("B01",), scenes=1, window=600))
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_more_scenes_than_the_orbit_covers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="17 scenes; the orbit at hand covers 16"):
        simulate(str(tmp_path / "x"), SimulationOptions(detectors=(6,), bands=("B01",), scenes=17, window=600))
    assert not (tmp_path / "x").exists()
