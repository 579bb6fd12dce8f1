"""The thresholds' file, outside masks, maps, parallax and the majority of neighbours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s2dask.errors import ConfigurationError, InputError
from s2dask.l2a import scene_class
from s2dask.l2a.cloud_mask import load_mask
from s2dask.l2a.parallax import RADIUS, displacement_index
from s2dask.l2a.scene_class import CLASS_BANDS
from s2dask.l2a.scene_rules import SceneRules, classify_scene, clear_air, default_rules, majority, map_hints, read_rules
from s2dask.l2a.thresholds import Thresholds, default_thresholds, read_thresholds

GRASS = (0.085, 0.085, 0.055, 0.40, 0.001, 0.18, 0.08)
CLOUD = (0.65, 0.62, 0.64, 0.66, 0.010, 0.45, 0.35)
THIN = (0.32, 0.31, 0.32, 0.40, 0.002, 0.33, 0.28)
SNOW = (0.90, 0.88, 0.88, 0.80, 0.002, 0.08, 0.06)
DARK = (0.075, 0.055, 0.035, 0.070, 0.001, 0.040, 0.020)
SOIL = (0.13, 0.14, 0.17, 0.27, 0.001, 0.33, 0.28)
TOWN = (0.18, 0.17, 0.17, 0.24, 0.002, 0.215, 0.20)
DIM = (0.09, 0.09, 0.10, 0.16, 0.001, 0.19, 0.16)


def _images(*spectra: tuple[float, ...]) -> dict[str, np.ndarray]:
    return {name: np.array([[s[i] for s in spectra]], np.float32) for i, name in enumerate(CLASS_BANDS)}


def _classes(images: dict[str, np.ndarray], rules: SceneRules, hints: np.ndarray | None = None) -> np.ndarray:
    return classify_scene(images, np.zeros(images["B02"].shape, np.uint8), rules, 20.0, hints)[0]


def test_a_file_replaces_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text("version = 1\n[cirrus]\nthin = 0.003\n[options]\nmajority = 1\n")
    thresholds, mask = read_thresholds(path)
    changed = {n for n in Thresholds._fields if getattr(thresholds, n) != getattr(default_thresholds(), n)}
    assert (changed, mask) == ({"cirrus_thin", "options_majority"}, "")
    hazy = (*GRASS[:4], 0.005, *GRASS[5:])
    assert _classes(_images(GRASS, hazy), default_rules()).tolist() == [[4, 4]]
    rules = SceneRules(thresholds._replace(options_majority=np.float32(0)))
    assert _classes(_images(GRASS, hazy), rules).tolist() == [[4, 10]]
    assert (read_rules(path).margin, default_rules().margin) == (1, 0)
    assert read_rules(None) == default_rules()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 3\n", "another version"),
        ("version = 1\n[cirrus]\nthinn = 0.1\n", "no threshold thinn"),
        ("version = 1\n[haze]\nlow = 0.1\n", "no threshold low"),
        ("version = 1\nthin = 3\n", "no threshold thin"),
        ("version = 1\n[cirrus]\nthin = 'x'\n", "is no number"),
        ("version = 1\n[cirrus]\nthin = nan\n", "is no number"),
        ("version = 1\n[rock]\nlow = 1.2\n", "not below"),
        ("version = 1\ncloud_mask = 3\n", "is no name"),
        ("version = [", "no TOML"),
        ("version = 1\ncloud_mask = 'nobody'\n", "no such cloud mask"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_rules(path)
    with pytest.raises(ConfigurationError, match="unreadable"):
        read_rules(tmp_path / "absent.toml")


PLUG_IN = """
import numpy as np
class Mask:
    bands, margin = ("B01", "B09"), {margin}
    def __call__(self, reflectance, pixel):
        return {answer}
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SceneRules]:
    """Return what installs a distribution with a cloud mask and gives the rules that name it."""

    def install(name: str, answer: str, margin: str = "0") -> SceneRules:
        site = tmp_path / name
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}_masks.py").write_text(PLUG_IN.format(answer=answer, margin=margin))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[s2dask.cloud_masks]\n{name} = {name}_masks:Mask\n")
        monkeypatch.syspath_prepend(str(site))
        path = tmp_path / f"{name}.toml"
        path.write_text(f'version = 1\ncloud_mask = "{name}"\n')
        return read_rules(path)

    return install


def test_an_outside_mask_takes_the_place_of_our_confidence(plug_in: Callable[..., SceneRules]) -> None:
    rules = plug_in("brightmask", "np.where(reflectance[..., 0] < 0, np.nan, reflectance[..., 0])")
    assert rules.bands == (*CLASS_BANDS, "B01", "B09")
    images = _images(GRASS, GRASS, GRASS, CLOUD, CLOUD, SNOW, SNOW)
    images["B01"] = np.array([[0.1, 0.5, 0.9, 0.1, -1.0, 0.1, 0.9]], np.float32)
    images["B09"] = np.zeros_like(images["B01"])
    scl, cld, snw = classify_scene(images, np.zeros((1, 7), np.uint8), rules, 20.0)
    # bright ground that the mask does not call cloud is not known as anything
    assert scl.tolist() == [[4, 8, 9, 7, 9, 11, 9]]
    assert cld.tolist() == [[10, 50, 90, 10, 100, 10, 90]]
    assert snw[0, 5] == 100


def test_a_mask_that_breaks_its_word_is_refused(plug_in: Callable[..., SceneRules]) -> None:
    images = _images(GRASS) | {"B01": np.ones((1, 1), np.float32), "B09": np.ones((1, 1), np.float32)}
    with pytest.raises(InputError, match="values such as 3"):
        _classes(images, plug_in("wild", "3.0 * reflectance[..., 0]"))
    with pytest.raises(InputError, match="shape"):
        _classes(images, plug_in("flat", "reflectance"))
    with pytest.raises(ConfigurationError, match="lacks bands, margin or a call"):
        plug_in("vague", "0", "None")
    with pytest.raises(ConfigurationError, match=r"there is: .*flat"):
        load_mask("other")


def test_images_of_another_size_are_refused() -> None:
    images = _images(GRASS, CLOUD) | {"B10": np.zeros((2, 1), np.float32)}
    with pytest.raises(InputError, match=r"image of B10: \(2, 1\) pixels"):
        _classes(images, default_rules())


def test_a_low_sun_makes_no_cloud_of_clear_air() -> None:
    shift = [clear_air("S2A", zenith) for zenith in (20.0, 60.0, 68.0, 75.0, 84.0)]
    assert shift[:2] == [0.0, 0.0]
    assert 0.005 < shift[2] < shift[3] == shift[4] < 0.04
    # grass under a sun 78 degrees from the zenith, with the path reflectance that this adds
    grass = (0.150, 0.115, 0.080, 0.35, 0.001, 0.17, 0.08)
    images, quality = _images(grass, CLOUD), np.zeros((1, 2), np.uint8)
    before, after = (
        classify_scene(images, quality, default_rules(), 20.0, air=air) for air in (0.0, clear_air("S2A", 78.0))
    )
    assert after[0].tolist() == [[4, 9]]
    assert after[1][0, 0] == 0 < before[1][0, 0]


def test_maps_help() -> None:
    known = np.ones((1, 4), np.bool_)
    known[0, 3] = False
    maps = {
        "water": (np.array([[1, 2, 0, 2]], np.uint8), known),
        "land_cover": (np.array([[190, 10, 200, 190]], np.uint8), known),
        "snow": (np.array([[0, 1, 100, 0]], np.uint8), known),
    }
    bits = map_hints(maps, (1, 4))
    wet, bright, bare = scene_class.KNOWN_WATER, scene_class.BRIGHT_GROUND, scene_class.NEVER_SNOW
    assert bits.tolist() == [[bright | bare, wet, wet | bright, 0]]
    assert not map_hints({}, (2, 2)).any()

    def told(spectrum: tuple[float, ...], hint: int) -> tuple[int, int]:
        images = _images(spectrum)
        return tuple(int(_classes(images, default_rules(), np.full((1, 1), h, np.uint8))[0, 0]) for h in (0, hint))

    assert told(DARK, wet) == (2, 6)
    assert told(GRASS, wet) == (4, 4)
    assert told(SNOW, bare)[0] == 11
    assert told(SNOW, bare)[1] != 11
    assert told(TOWN, bright) == (8, 5)
    assert told(CLOUD, bright) == (9, 9)
    assert told(DIM, scene_class.SHADED) == (5, 2)
    assert told(GRASS, scene_class.SHADED) == (4, 4)


def _seen_by_parallax(shift: int) -> dict[str, np.ndarray]:
    """Return bright rough ground, which B08 sees some pixels aside when it is a cloud."""
    random = np.random.default_rng(6)
    texture = 1 + 0.2 * random.normal(size=(40, 44)).astype(np.float32)
    images = {name: np.float32(THIN[i]) * texture[:, :40] for i, name in enumerate(CLASS_BANDS)}
    noise = 1 + 0.005 * random.normal(size=(40, 40)).astype(np.float32)
    images["B07"] = images["B8A"] * noise
    # at one height the two bands see the same; the ground differs from band to band by more than the noise
    images["B08"] = np.float32(THIN[3]) * (texture[:, shift : 40 + shift] if shift else texture[:, :40] * noise**0.3)
    return images


def test_parallax_tells_bright_ground_from_clouds() -> None:
    ground, cloud = _seen_by_parallax(0), _seen_by_parallax(2)
    low, high = (displacement_index(i["B07"], i["B08"], i["B8A"], RADIUS) for i in (ground, cloud))
    assert high.max() < -0.9
    assert low.min() > 0.2
    rules = SceneRules(default_thresholds()._replace(options_parallax=np.float32(1)))
    assert (rules.margin, rules.bands) == (2, (*CLASS_BANDS, "B07", "B08"))
    for images, expected in ((ground, 0.0), (cloud, 1.0)):
        before, after = (np.isin(_classes(images, r), (8, 9)) for r in (default_rules(), rules))
        assert before.mean() > 0.5
        assert after[before].mean() == expected
    hole = {k: v.copy() for k, v in cloud.items()}
    hole["B07"][20, 20] = hole["B8A"][5, 5] = np.nan
    index = displacement_index(hole["B07"], hole["B08"], hole["B8A"], RADIUS)
    assert np.isnan(index[5, 5])
    assert np.isnan(index).sum() == 1


def test_the_class_of_most_neighbours() -> None:
    scl = np.full((5, 5), 4, np.uint8)
    scl[2, 2], scl[0, 0], scl[4, :] = 9, 0, 6
    out = majority(scl)
    assert out[2, 2] == 4
    assert out[0, 0] == 0
    assert (out[4] == 6).all()
    assert (out[:4, 1:] == 4).all()
