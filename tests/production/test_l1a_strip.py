"""L1A of a datastrip: granules from packets, equalised or not, re-arranged or not, and L1B from them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import radiometry_model
import zarr
from distributed import Client
from l1a_model import downlinked, staggered, table, write_l0, write_onboard, write_rearrangement

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import band
from s2dask.instrument.quality import ANC_DEGRADED, DETECTOR_SHIFT, MSI_DEGRADED, MSI_LOST, NODATA, SATURATED
from s2dask.io import schema
from s2dask.io.strips import StripSource
from s2dask.io.validation import validate
from s2dask.l1b.stage import process_granule
from s2dask.production import levels, strip
from s2dask.production.chain import run
from s2dask.production.l1a_strip import l1a_lines, start_l1a, write_l1a_granule
from s2dask.production.scene import open_datastrip
from s2dask.production.strip import ancillary_lines, granule_parameters, process_scene, raw_lines, strip_facts
from s2dask.simulate import session
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.sensor import counts

DETECTOR, BASE = 6, 6 << DETECTOR_SHIFT
BANDS = ("B01", "B10", "B11", "B12")
START, STOP = datetime(2020, 8, 16, 12, tzinfo=UTC), datetime(2020, 8, 16, 12, 1, tzinfo=UTC)
Lines = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def _fresh_facts() -> Iterator[None]:
    """Forget what stores said: a test of another store may have the same address."""
    strip_facts.cache_clear()
    yield
    strip_facts.cache_clear()


def _raw(scenes: int = 2, bands: tuple[str, ...] = BANDS) -> Lines:
    """Return counts of the converter, some of them saturated."""
    out = {}
    for name in bands:
        b = band(name)
        random = np.random.default_rng([b.index, 5])
        out[name] = random.integers(460, 4090, (scenes * b.lines_per_scene, b.raw_columns)).astype(np.uint16)
        out[name][7, 30] = 4095
    return out


def _gipps(folder: Path, unit: str = "S2A") -> GippSet:
    return GippSet.open(folder, unit, START, STOP)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Radiometric GIPPs without on-board tables."""
    pixels = {name: radiometry_model.pixels(name) for name in BANDS}
    return radiometry_model.write_gipps(tmp_path / "gipp", pixels)


def _make(l0: str, l1a: Path, gipps: GippSet) -> dict[str, Any]:
    start_l1a(l0, str(l1a), gipps)
    scenes = range(strip_facts(l0).scenes)
    return strip.finish_images(str(l1a), [write_l1a_granule(l0, str(l1a), gipps, DETECTOR, s) for s in scenes])


@pytest.mark.row("IPF-10")
def test_counts_of_the_instrument_arrive_exactly_and_losses_are_flagged(plain: Path, tmp_path: Path) -> None:
    lines, gipps = _raw(), _gipps(plain)
    l0 = write_l0(tmp_path / "l0.zarr", lines, lost={"B11": (3, 40)}, degraded={"B12": (71,)}, attitude_gap=(1.0, 1.35))
    made = _make(l0, tmp_path / "l1a.zarr", gipps)
    facts = strip_facts(l0)
    points, samples = (zarr.open_array(f"{l0}/conditions/{k}/gps_time").shape[0] for k in ("ephemeris", "attitude"))
    validate(str(tmp_path / "l1a.zarr"), schema.l1a([DETECTOR], BANDS, facts.scenes, points, samples))
    assert strip_facts(str(tmp_path / "l1a.zarr")).level == "L1A"
    status = {c["id"]: c["status"] for c in made["checks"]}
    assert (status["Data_Loss"], status["Missing_Lines"], status["Saturated_Pixels"]) == ("FAILED", "FAILED", "PASSED")
    assert made["record"]["missing_lines"] == 32
    assert made["record"]["d06.b12.degraded_lines"] == 16
    for name in BANDS:
        counts, quality = StripSource(str(tmp_path / "l1a.zarr")).read(DETECTOR, name, 0, lines[name].shape[0])
        bad = np.zeros(lines[name].shape[0], bool)
        for k in (3, 40) if name == "B11" else ():
            bad[16 * k : 16 * k + 16] = True
        np.testing.assert_array_equal(counts[~bad], lines[name][~bad])
        assert not counts[bad].any()
        seconds = 1.565873622e-3 * band(name).line_factor * np.arange(bad.size)
        # the attitude is 0.1 s apart: 1.0 and 1.3 s are gone
        holed = (seconds >= 0.9) & (seconds < 1.4)
        expected = np.where(holed, BASE | ANC_DEGRADED, BASE)[:, np.newaxis] | np.where(
            lines[name] == 4095, SATURATED, 0
        )
        if name == "B12":
            expected[71 * 16 : 72 * 16] |= MSI_DEGRADED
        expected[bad] = np.where(holed[bad], BASE | ANC_DEGRADED, BASE)[:, np.newaxis] | MSI_LOST | NODATA
        np.testing.assert_array_equal(quality, expected)


@pytest.mark.row("IPF-11", "OPS-26")
def test_the_table_that_the_strip_names_undoes_the_equalisation(plain: Path, tmp_path: Path) -> None:
    tables = {k: {name: table(name, k, (1.03, 1.02)) for name in BANDS} for k in (2, 3)}
    write_onboard(plain, tables)
    lines = _raw(1)
    for k in (2, 3):
        sent = {name: downlinked(image, tables[k][name]) for name, image in lines.items()}
        l0 = write_l0(tmp_path / f"l0-{k}.zarr", sent, equalization_mode=True, nuc_table_id=k)
        for name in BANDS:
            found = l1a_lines(l0, _gipps(plain), DETECTOR, name, 0, lines[name].shape[0])
            np.testing.assert_array_equal(found.counts, lines[name])
            np.testing.assert_array_equal(found.quality == BASE | SATURATED, lines[name] == 4095)
    off = write_l0(tmp_path / "off.zarr", lines, equalization_mode=False, nuc_table_id=3)
    np.testing.assert_array_equal(l1a_lines(off, _gipps(plain), DETECTOR, "B11", 0, 64).counts, lines["B11"][:64])


@pytest.mark.row("OPS-26")
def test_what_the_equalisation_needs_and_is_not_there_is_refused(plain: Path, tmp_path: Path) -> None:
    lines = {"B01": _raw(1, ("B01",))["B01"]}
    l0 = write_l0(tmp_path / "l0.zarr", lines, equalization_mode=True, nuc_table_id=5)
    with pytest.raises(InputMissing, match="no GIP_R2EOB2 of S2A for B01"):
        l1a_lines(l0, _gipps(plain), DETECTOR, "B01", 0, 16)
    write_onboard(plain, {k: {"B01": table("B01", k)} for k in (2, 3)})
    with pytest.raises(InputError, match=r"_GIP_R2EOB2_.*NUC_TABLE_ID: no table 5.*but 2, 3"):
        l1a_lines(l0, _gipps(plain), DETECTOR, "B01", 0, 16)
    path = plain / radiometry_model.gipp_name("R2EOB2", "B01")
    text = path.read_text("utf-8")
    head, tail = text.split("<COEFF_A1>", 1)
    path.write_text(f"{head}<COEFF_A1>NaN {tail.split(' ', 1)[1]}", encoding="utf-8")
    with pytest.raises(InputError, match=r"_GIP_R2EOB2_.*COEFF_A1"):
        l1a_lines(l0, _gipps(plain), DETECTOR, "B01", 0, 16)
    path.write_text(text.replace("<SATELLITE>S2A<", "<SATELLITE>S2B<"), encoding="utf-8")
    with pytest.raises(InputError, match=r"_GIP_R2EOB2_.*S2B"):
        l1a_lines(l0, _gipps(plain), DETECTOR, "B01", 0, 16)
    silent = write_l0(tmp_path / "silent.zarr", lines, equalization_mode=True)
    with pytest.raises(InputError, match="nuc_table_id: equalised on board by a table that it does not tell"):
        l1a_lines(silent, _gipps(plain), DETECTOR, "B01", 0, 16)


def _shifts() -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)
    return {name: random.integers(-1, 2, band(name).raw_columns).astype(np.int8) for name in ("B10", "B11", "B12")}


@pytest.mark.row("IPF-10")
def test_swir_lines_are_rearranged_only_where_the_scenario_says_so(plain: Path, tmp_path: Path) -> None:
    ground, shifts = _raw(), _shifts()
    whole = ("B11", "B12")
    sent = ground | {name: staggered(ground[name], shifts[name]) for name in whole}
    l0 = write_l0(tmp_path / "l0.zarr", sent, lost={"B11": (72,)})
    _make(l0, tmp_path / "as-sent.zarr", _gipps(plain))
    write_rearrangement(plain, shifts)
    gipps = _gipps(plain)
    _make(l0, tmp_path / "l1a.zarr", gipps)
    assert not strip_facts(str(tmp_path / "as-sent.zarr")).rearranged
    assert strip_facts(str(tmp_path / "l1a.zarr")).rearranged
    as_sent, made = (StripSource(str(tmp_path / f"{what}.zarr")) for what in ("as-sent", "l1a"))
    for name in ("B12", "B01"):
        count = ground[name].shape[0]
        np.testing.assert_array_equal(as_sent.read(DETECTOR, name, 0, count)[0], sent[name])
        # granules meet without a seam
        np.testing.assert_array_equal(made.read(DETECTOR, name, 1, count - 1)[0], ground[name][1:-1])
    quality = made.read(DETECTOR, "B11", 0, ground["B11"].shape[0])[1]
    lost = (quality & MSI_LOST) != 0
    for shift, first in ((-1, 1151), (0, 1152), (1, 1153)):
        # a lost line shows the ground of the line after it where the shift is 1
        column = int(np.flatnonzero(shifts["B11"] == shift)[0])
        assert np.flatnonzero(lost[:, column]).tolist() == list(range(first, first + 16))
    with pytest.raises(ConfigurationError, match="its SWIR lines are re-arranged"):
        process_scene(str(tmp_path / "l1a.zarr"), gipps, DETECTOR, ("B11",), 0)


@pytest.mark.row("IPF-10")
@pytest.mark.parametrize("equalised", [False, True])
def test_any_cut_gives_the_same_lines(plain: Path, tmp_path: Path, equalised: bool) -> None:
    bands = ("B10", "B11", "B12")
    lines = _raw(1, bands)
    attrs: dict[str, object] = {}
    if equalised:
        write_onboard(plain, {3: {name: table(name) for name in bands}})
        lines = {name: downlinked(image, table(name)) for name, image in lines.items()}
        attrs = {"equalization_mode": True, "nuc_table_id": 3}
    write_rearrangement(plain, _shifts())
    gipps = _gipps(plain)
    l0 = write_l0(tmp_path / "l0.zarr", lines, lost={"B10": (4,)}, degraded={"B11": (0,)}, **attrs)
    for name in bands:
        count = lines[name].shape[0]
        whole = l1a_lines(l0, gipps, DETECTOR, name, 0, count)
        for cuts in ((0, 1, 17, 64, count), (0, 100, 101, count)):
            parts = [l1a_lines(l0, gipps, DETECTOR, name, a, b) for a, b in pairwise(cuts)]
            np.testing.assert_array_equal(np.concatenate([p.counts for p in parts]), whole.counts)
            np.testing.assert_array_equal(np.concatenate([p.quality for p in parts]), whole.quality)


def test_l1b_of_an_l1a_store_is_that_of_the_packets(plain: Path, tmp_path: Path) -> None:
    write_onboard(plain, {3: {name: table(name) for name in BANDS}})
    sent = {name: downlinked(image, table(name)) for name, image in _raw().items()}
    l0 = write_l0(
        tmp_path / "l0.zarr", sent, lost={"B11": (3, 71), "B10": (24,)}, degraded={"B12": (70,)},
        attitude_gap=(3.5, 3.8), equalization_mode=True, nuc_table_id=3,
    )  # fmt: skip
    gipps = _gipps(plain)
    _make(l0, tmp_path / "l1a.zarr", gipps)
    raw = {name: raw_lines(str(tmp_path / "l1a.zarr"), DETECTOR, name, 0, sent[name].shape[0])[1] for name in BANDS}
    whole = process_granule(
        DETECTOR, dict.fromkeys(BANDS, 0), {n: r.counts for n, r in raw.items()}, {n: r.bad for n, r in raw.items()},
        granule_parameters(l0, gipps, DETECTOR), degraded={n: r.degraded for n, r in raw.items()},
        ancillary={n: ancillary_lines(l0, DETECTOR, n, 0, r.bad.size) for n, r in raw.items()},
    )  # fmt: skip
    assert (whole["B12"].quality & ANC_DEGRADED).any()
    for scene in range(2):
        ours = process_scene(str(tmp_path / "l1a.zarr"), gipps, DETECTOR, BANDS, scene)
        theirs = process_scene(l0, gipps, DETECTOR, BANDS, scene)
        for name in BANDS:
            part = slice(scene * band(name).lines_per_scene, (scene + 1) * band(name).lines_per_scene)
            for made in (ours, theirs):
                np.testing.assert_array_equal(made[name].counts, whole[name].counts[part])
                np.testing.assert_array_equal(made[name].quality, whole[name].quality[part])


@pytest.mark.row("IPF-10", "OPS-09")
def test_a_dark_acquisition_ends_at_l1a_with_the_counts_of_the_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[tuple[str, int], np.ndarray] = {}

    def kept(*args: Any) -> Lines:
        made = counts(*args)
        sent.update({(name, args[3]): image for name, image in made.items()})
        return made

    monkeypatch.setattr(session, "counts", kept)
    options = SimulationOptions(detectors=(7,), bands=BANDS, scenes=1, window=600, codec="raw12", seed=4)
    folder = session.simulate(str(tmp_path / "session"), options)
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        summary = run(folder, client=client, to="L2A", datatake_type="INS-DASC", out=str(tmp_path / "out"))
        with pytest.raises(ConfigurationError, match="no datatake type INS-DARK"):
            run(folder, client=client, datatake_type="INS-DARK", out=str(tmp_path / "out"))
    assert any("INS-DASC" in flag for flag in summary.flags)
    (path,) = [p for p in summary.products if p.endswith(".zarr")]
    assert "_MSI_L1A_DS_S2DK_" in path
    assert {o.step for o in summary.outcomes} >= {"RADIO_INIT", "DECOMP", "OLQC_DS_L1A"}
    assert {c["status"] for c in summary.checks if c["level"] == "L1A"} == {"PASSED"}
    for (name, detector), image in sent.items():
        found, quality = StripSource(path).read(detector, name, 0, image.shape[0])
        np.testing.assert_array_equal(found, image[: found.shape[0]])
        assert not (quality & ~np.uint16(0xF << DETECTOR_SHIFT | SATURATED)).any()
    scene = open_datastrip(path, f"{folder}/aux")
    lazy = scene.l1a("B11", 7)
    assert (lazy.dims, lazy.dtype, lazy.chunks) == (("line", "raw_column"), np.uint16, ((1152,), (1296,)))
    np.testing.assert_array_equal(lazy[100:120].values, sent["B11", 7][100:120])
    assert (scene.l1a("B11", 7, what="mask")[5].values >> DETECTOR_SHIFT == 7).all()


@pytest.mark.row("OPS-09")
@pytest.mark.parametrize(
    ("kind", "asked", "made"),
    [
        ("INS-NOBS", "L2A", "L2A"), ("INS-NOBS", "L1B", "L1B"), ("INS-NOBS", "L1A", "L1A"), ("INS-VIC", "L2A", "L1C"),
        ("INS-RAW", "L1A", "L1A"), ("INS-RAW", "L2A", "L2A"), ("INS-DASC", "L2A", "L1A"), ("INS-ABSR", "L1B", "L1A"),
        ("INS-EOBS", "L1A", "L1A"), ("INS-DASC", "L0", "L0"), ("INS-MSMOON", "L2A", "L0"), ("INS-NEW", "L1C", "L0"),
    ],
)  # fmt: skip
def test_a_datatake_ends_at_the_last_level_of_its_type(kind: str, asked: str, made: str) -> None:
    assert levels.last_level(asked, kind, "S2A", START) == made
