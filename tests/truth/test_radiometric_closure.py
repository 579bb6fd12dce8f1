"""Counts to radiance: an instrument with every effect on in front of a known scene, undone to the noise."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from closure_model import (
    DETECTOR,
    LEVELS,
    SHIFT,
    UNIT,
    Instrument,
    all_effects,
    dark,
    fixed_pattern,
    level_1b,
    patch_lines,
    patches,
    select,
    sigma,
    truth,
    waves,
    worst_column,
)

from s2dask.auxdata.gipp_scenario import Restoration, read_r2para, write_r2para
from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.quality import DEFECTIVE, NODATA
from s2dask.l1a.equalisation import inverse_table, undo_equalisation
from s2dask.l1b.coding import radiance
from s2dask.l1b.granule import GranuleBand
from s2dask.l1b.parameters import STEPS
from s2dask.l1b.restoration.plan import noise_gain
from s2dask.l1b.stage import margins, process_granule, radiometric_parameters
from s2dask.production.strip import strip_facts
from s2dask.simulate.effects import nuc_table
from s2dask.simulate.gipp import gipp_name
from s2dask.simulate.gipp_restoration import TARGET, modulation
from s2dask.simulate.sensor import CROSSTALK

log = logging.getLogger(__name__)
LINES, PATCH = 2304, 576
Granule = dict[str, GranuleBand]


def _say(text: str) -> None:
    """Report a figure of the closure: ``pytest --log-cli-level=INFO`` shows the table."""
    log.info(text)


@pytest.fixture(scope="module", autouse=True)
def _fresh_facts() -> Iterator[None]:
    """Forget what stores said: a test of another store may have the same address."""
    strip_facts.cache_clear()
    yield
    strip_facts.cache_clear()


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return Instrument.of(all_effects(seed=3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closure")


def _processed(instrument: Instrument, folder: Path, what: str) -> Granule:
    scene = {"patches": patches(PATCH), "dark": dark, "waves": waves}[what]
    l0 = instrument.strip(folder / f"{what}.zarr", instrument.raw(scene, LINES))
    made = level_1b(l0, instrument.gipps(folder / "gipp"))
    shutil.rmtree(l0)
    return made


@pytest.fixture(scope="module")
def uniform(instrument: Instrument, folder: Path) -> Granule:
    return _processed(instrument, folder, "patches")


@pytest.fixture(scope="module")
def unlit(instrument: Instrument, folder: Path) -> Granule:
    return _processed(instrument, folder, "dark")


@pytest.fixture(scope="module")
def textured(instrument: Instrument, folder: Path) -> Granule:
    return _processed(instrument, folder, "waves")


def _uniform_errors(image: GranuleBand, name: str) -> tuple[list[float], list[float], list[float]]:
    """Return the mean error of the radiance, the fixed pattern and the worst column of each patch, relative [%]."""
    gain, mean, pattern, worst = unit(UNIT).bands[name].gain, [], [], []
    for k in range(len(LEVELS)):
        part = radiance(image.counts[patch_lines(name, PATCH, k)], gain, SHIFT).astype(np.float64)
        count = LEVELS[(k + band(name).index) % len(LEVELS)]
        true = count / gain
        mean.append(100 * (part.mean() / true - 1))
        pattern.append(100 * fixed_pattern(part) / true)
        worst.append(100 * worst_column(part, float(sigma(name, count)) / gain) / true)
    return mean, pattern, worst


@pytest.mark.row("IPF-11")
@pytest.mark.parametrize("name", BANDS)
def test_the_counts_of_the_converter_come_back(instrument: Instrument, name: str) -> None:
    random = np.random.default_rng(band(name).index)
    raw = random.integers(445, 4096, (60, band(name).raw_columns)).astype(np.uint16)
    t = instrument.effects.onboard[name, DETECTOR][nuc_table(UNIT)]
    back = undo_equalisation(instrument.downlinked({name: raw})[name], inverse_table(t.dark, t.a1, t.a2, t.zs))
    np.testing.assert_array_equal(back, raw)


@pytest.mark.row("IPF-11", "IPF-13", "IPF-18")
@pytest.mark.parametrize("name", BANDS)
def test_uniform_patches_have_the_true_radiance_and_no_pattern(uniform: Granule, name: str) -> None:
    mean, pattern, worst = _uniform_errors(uniform[name], name)
    off = f"fixed pattern {np.max(pattern):.4f} %, worst column {np.max(worst):.4f} %"
    _say(f"{name} mean error {np.abs(mean).max():.4f} %, {off}")
    assert np.abs(mean).max() <= 0.1
    assert np.max(pattern) <= 0.1
    assert np.max(worst) <= 0.1


@pytest.mark.row("IPF-12")
@pytest.mark.parametrize("name", BANDS)
def test_a_dark_scene_is_dark(unlit: Granule, name: str) -> None:
    image = unlit[name].counts[12:-12].astype(np.float64) - SHIFT
    worst = worst_column(image, float(sigma(name, 0.0)))
    off = f"fixed pattern {fixed_pattern(image):.4f} LSB, worst column {worst:.4f} LSB"
    _say(f"{name} dark residual {image.mean():+.4f} LSB, {off}")
    assert abs(image.mean()) <= 0.1
    assert fixed_pattern(image) <= 0.1
    assert worst <= 0.1


@pytest.mark.row("IPF-15")
@pytest.mark.parametrize("name", BANDS)
def test_a_smooth_scene_is_true_to_the_noise_and_defective_pixels_too(
    textured: Granule, instrument: Instrument, name: str
) -> None:
    image, b = textured[name], band(name)
    true = truth(waves, name, image.counts.shape[0])
    inner = slice(2, -2)
    error = ((image.counts.astype(np.float64) - SHIFT - true) / sigma(name, true))[inner]
    defective = np.unique(np.flatnonzero(instrument.defective(name)) // b.binning)
    defective = defective[defective < b.columns]
    assert not (image.quality[inner] & NODATA).any()
    flagged = (image.quality[inner] & DEFECTIVE) != 0
    assert np.flatnonzero(flagged.all(0)).tolist() == np.flatnonzero(flagged.any(0)).tolist() == defective.tolist()
    good = np.delete(error, defective, axis=1)
    worst = np.sqrt((error[:, defective] ** 2).mean(0)).max()
    _say(f"{name} error {good.std():.3f} sigma, of the worst defective column {worst:.3f} sigma")
    assert 0.9 < good.std() < 1.1
    assert worst <= 2


def _crosstalk(name: str, on: Granule, off: Granule, clean: Granule, length: int) -> tuple[float, float]:
    """Return the root mean square over the patches of what leaks into a band before and after the correction [LSB]."""
    means = np.array(
        [
            [made[name].counts[patch_lines(name, length, k)].astype(np.float64).mean() for k in range(len(LEVELS))]
            for made in (on, off, clean)
        ]
    )
    before, after = (np.sqrt(np.mean((made - means[2]) ** 2)) for made in (means[1], means[0]))
    return float(before), float(after)


@pytest.mark.row("IPF-14")
@pytest.mark.parametrize("kind", ["electronic", "optical"])
def test_crosstalk_is_reduced_tenfold(tmp_path: Path, kind: str) -> None:
    bands = tuple(BANDS) if kind == "optical" else ("B10", "B11", "B12")
    made = Instrument.of(all_effects(seed=4, bands=bands, rearranged_swir=False, onboard_equalisation=False))
    p = radiometric_parameters(made.gipps(tmp_path), DETECTOR, bands)
    none = np.zeros_like(p.crosstalk)
    p = replace(p, **({"crosstalk": none} if kind == "optical" else {"optical": none}))
    leaks = made.effects.optical if kind == "optical" else CROSSTALK
    length = 288
    lines, free = (made.raw(patches(length), 4 * length, leaks=given) for given in (leaks, {}))
    kept = [step for step in STEPS if step != "crosstalk"]

    def granule(raw: dict[str, np.ndarray], corrected: bool) -> Granule:
        bad = {name: np.zeros(x.shape[0], bool) for name, x in raw.items()}
        return process_granule(DETECTOR, dict.fromkeys(raw, 0), raw, bad, p, only=None if corrected else kept)

    on, off, clean = granule(lines, True), granule(lines, False), granule(free, False)
    for name in bands:
        before, after = _crosstalk(name, on, off, clean, length)
        _say(f"{name} {kind} crosstalk {before:.4f} -> {after:.4f} LSB ({before / after:.0f}x)")
        assert before > 0.25
        assert after <= before / 10


@pytest.mark.row("IPF-17")
def test_binning_keeps_the_flux(tmp_path: Path) -> None:
    bands = ("B01", "B09", "B10")
    made = Instrument.of(all_effects(seed=5, bands=bands, onboard_equalisation=False))
    p = radiometric_parameters(made.gipps(tmp_path), DETECTOR, bands)
    raw = made.raw(waves, 600)
    bad = {name: np.zeros(x.shape[0], bool) for name, x in raw.items()}
    before, after = (
        process_granule(DETECTOR, dict.fromkeys(raw, 0), raw, bad, p, step) for step in ("restoration", "binning")
    )
    for name in bands:
        flux, binned = before[name][2:-2, :1275].sum(dtype=np.float64), 3 * after[name][2:-2].sum(dtype=np.float64)
        _say(f"{name} flux {abs(binned / flux - 1):.1e}")
        assert binned == pytest.approx(flux, rel=1e-6)


def _restored(folder: Path, name: str, scenario: str) -> None:
    path = folder / gipp_name(UNIT, "R2PARA")
    para = read_r2para(path, UNIT)
    one = dict(para.restorations) | {name: Restoration(scenario)}
    path.write_text(write_r2para(replace(para, restoration_flag=scenario != "NONE", restorations=one)), "utf-8")


@pytest.mark.row("IPF-16")
@pytest.mark.parametrize("scenario", ["F_CONVOLUTION", "F_CONVOLUTION_W_DENOISING"])
def test_restoration_raises_the_modulation_as_designed(tmp_path: Path, scenario: str) -> None:
    name, amplitude, mean = "B05", 400.0, 1200.0
    usual = all_effects(seed=6, bands=(name,), onboard_equalisation=False, dead_pixels=0, noisy_pixels=0)
    made = Instrument.of(usual)
    made.gipps(tmp_path)
    found = {}
    for axis, modulated in enumerate(modulation(UNIT, name)):
        assert modulated < TARGET

        def scene(_: str, line: np.ndarray, column: np.ndarray, axis: int = axis, m: float = modulated) -> np.ndarray:
            wave = np.cos(np.pi * (line / 2 - 0.5)) if axis == 0 else np.cos(np.pi * (column - 0.5))
            return mean + amplitude * m * np.broadcast_to(wave, (line.shape[0], column.size))

        raw = made.raw(scene, 800)
        for kind in ("NONE", scenario):
            _restored(tmp_path, name, kind)
            p = radiometric_parameters(select(tmp_path), DETECTOR, (name,))
            bad = {name: np.zeros(raw[name].shape[0], bool)}
            image = process_granule(DETECTOR, {name: 0}, raw, bad, p)[name].counts.astype(np.float64) - SHIFT
            inner = image[60:-60, 60:-60]
            sign = (-1.0) ** np.add.outer(*(np.arange(n) * (k == axis) for k, n in enumerate(inner.shape)))
            wave = np.mean(inner * sign)
            noise = np.std(inner - wave * sign)
            found[axis, kind] = abs(wave) / amplitude, noise, inner.mean()
            plan = p.bands[name].restoration
        assert plan is not None
        assert margins(p)[name] > 3
        (before, quiet, _), (after, loud, kept) = found[axis, "NONE"], found[axis, scenario]
        _say(f"{name} {scenario} axis {axis}: modulation {before:.3f} -> {after:.3f}, noise x {loud / quiet:.2f}")
        assert before == pytest.approx(modulated, rel=0.01)
        assert after == pytest.approx(TARGET, rel=0.02)
        assert kept == pytest.approx(mean, rel=1e-3)
        if scenario == "F_CONVOLUTION":
            assert loud / quiet == pytest.approx(noise_gain(plan), rel=0.1)


OPTIONAL = ("R2PARA", "R2NOMO", "R2BINN", "R2SWIR", "R2DEFI", "R2DECT", "R2DENT", "R2WAFI", "R2L2NC")


def test_the_usual_files_say_what_goes_without_saying(tmp_path: Path) -> None:
    """A session without effects gives the same bytes with the files that it may lack as without them."""
    bands = ("B01", "B02", "B05", "B10", "B11", "B12")
    usual = all_effects(
        seed=7, bands=bands, onboard_equalisation=False, rearranged_swir=False, optical_crosstalk=0.0, dead_pixels=50
    )
    made = Instrument.of(usual)
    full = radiometric_parameters(made.gipps(tmp_path), DETECTOR, bands)
    for kind in OPTIONAL:
        assert [path.unlink() for path in tmp_path.glob(f"*_GIP_{kind}_*")]
    bare = radiometric_parameters(select(tmp_path), DETECTOR, bands)
    raw = made.raw(waves, 240)
    bad = {name: np.isin(np.arange(x.shape[0]), (7, 8, 20)) for name, x in raw.items()}
    one, other = (process_granule(DETECTOR, dict.fromkeys(raw, 0), raw, bad, p) for p in (full, bare))
    for name in bands:
        np.testing.assert_array_equal(one[name].counts, other[name].counts)
        np.testing.assert_array_equal(one[name].quality, other[name].quality)


@pytest.fixture(scope="module")
def small(folder: Path) -> tuple[Instrument, str]:
    """Return an instrument of one band and its L0 store."""
    made = Instrument.of(all_effects(seed=8, bands=("B10",), optical_crosstalk=0.0))
    return made, made.strip(folder / "small.zarr", made.raw(waves, LINES))


WRONG = [
    ("R2EQOG", "B10", None, InputMissing, "R2EQOG"),
    ("R2EOB2", "B10", None, InputMissing, "R2EOB2"),
    ("R2EQOG", "B10", ("<SATELLITE>S2A", "<SATELLITE>S2B"), InputError, "R2EQOG.*S2B"),
    ("R2SWIR", "B00", ("<SATELLITE>S2A", "<SATELLITE>S2B"), InputError, "R2SWIR.*S2B"),
    ("R2EOB2", "B10", ("<NUC_TABLE_ID>3", "<NUC_TABLE_ID>4"), InputError, "R2EOB2.*NUC_TABLE_ID: no table 3"),
    ("R2EQOG", "B10", ("<COEFF_A2>", "<COEFF_A2>11 "), InputError, "R2EQOG.*COEFF_A2"),
    ("R2EQOG", "B10", (" 1.0", " 91.0"), InputError, "R2EQOG.*COEFF_A1"),
    ("R2EQOG", "B10", ("<COEFF_Zs>", "<COEFF_Zs>NaN "), InputError, "R2EQOG.*COEFF_Zs"),
    ("R2EOB2", "B10", ("<COEFF_ZS>", "<COEFF_ZS>NaN "), InputError, "R2EOB2.*COEFF_ZS"),
    ("R2NOMO", "B00", ("<ALPHA>", "<ALPHA>-"), InputError, "R2NOMO.*ALPHA"),
    ("R2ABCA", "B00", ("<PHYSICAL_GAINS>", "<PHYSICAL_GAINS>-"), InputError, "R2ABCA.*PHYSICAL_GAINS"),
    ("R2CRCO", "B00", ("<ELECTRICAL>0", "<ELECTRICAL>nan"), InputError, "R2CRCO.*ELECTRICAL"),
    ("R2BINN", "B00", ("0.3333333333333333", "0.5"), InputError, "R2BINN.*KERNEL"),
    ("R2PARA", "B00", ("<RESTORATION>", "<RESTORATION>maybe "), InputError, "R2PARA.*RESTORATION"),
]


@pytest.mark.row("IPF-18", "OPS-26")
@pytest.mark.parametrize(("kind", "of", "edit", "error", "message"), WRONG, ids=[f"{w[0]}-{w[4]}" for w in WRONG])
def test_what_is_wrong_in_a_file_is_refused_by_file_and_field(
    small: tuple[Instrument, str],
    tmp_path: Path,
    kind: str,
    of: str,
    edit: tuple[str, str] | None,
    error: type[Exception],
    message: str,
) -> None:
    made, l0 = small
    made.gipps(tmp_path)
    path = tmp_path / gipp_name(UNIT, kind, of)
    if edit is None:
        path.unlink()
    else:
        text = path.read_text("utf-8")
        assert edit[0] in text
        path.write_text(text.replace(*edit), "utf-8")
    with pytest.raises(error, match=message):
        level_1b(l0, select(tmp_path), ("B10",))
