"""What another GIPP would change: how far the counts move, and what is made again."""

import re
from pathlib import Path

import dask
import numpy as np
import pytest
from system_model import Run

from s2dask.errors import ConfigurationError, InputError
from s2dask.io.storage import open_array
from s2dask.l1b.parameters import STEPS
from s2dask.production import scene_strip, source
from s2dask.production.scene import Scene, open_datastrip
from s2dask.production.what_if import Differences


@pytest.fixture
def scene(made: Run) -> Scene:
    """Open the datastrip, with its L1B."""
    return open_datastrip(made.store("L0"), l1b=made.store("L1B"))


def _edited(made: Run, target: Path, kind: str, pattern: str, replacement: str, band: str = "B00") -> Path:
    """Write a GIPP of the session with something changed."""
    (path,) = (made.session / "aux" / "gipp").glob(f"*GIP_{kind}_*_{band}.DBL")
    text, count = re.subn(pattern, replacement, path.read_text("utf-8"), flags=re.DOTALL)
    assert count
    out = target / path.name
    out.write_text(text, "utf-8")
    return out


def test_other_gains_move_reflectance_alone(
    scene: Scene, made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gain = scene.gain("B04", 6)
    text = re.escape(f"{gain}")
    path = _edited(
        made, tmp_path, "R2ABCA", rf"<PHYSICAL_GAINS([^>]*)>{text}<", rf"<PHYSICAL_GAINS\g<1>>{gain * 1.02}<"
    )
    other = scene.with_gipp(R2ABCA=path)
    assert other.gain("B04", 6) == pytest.approx(1.02 * gain)
    assert other.setting.gipps.id != scene.setting.gipps.id

    def never(*_: object) -> None:
        raise AssertionError("L1B was made again")

    monkeypatch.setattr(scene_strip, "process_scene", never)
    monkeypatch.setattr(source, "process_scene", never)
    x0, y0, *_ = made.truth.window
    with dask.config.set(scheduler="synchronous"):
        l1b = other.diff("L1B", bands=("B04", "B11"))
        l1c = other.diff("L1C", bands=("B04", "B05"), tile="28SCB", window=(x0 + 1200, y0 - 1200, 1200, 1200))
    assert (l1b.changed == 0).all()
    assert (l1b.pixels > 0).all()
    assert float(l1c.changed.sel(band="B05")) == 0
    before = open_array(made.store("L1C"), "measurements/reflectance/r10m/b04")[120:240, 120:240].astype(float) - 1000
    expected = np.median(before * (1 / 1.02 - 1))
    assert float(l1c.delta.sel(band="B04", quantile=0.5)) == pytest.approx(expected, abs=1)
    assert l1c.attrs["level"] == "L1C"


def test_another_dark_signal_moves_the_counts(scene: Scene, made: Run, tmp_path: Path) -> None:
    def darker(match: re.Match[str]) -> str:
        return match[1] + " ".join(f"{float(v) + 10:.6f}" for v in match[2].split()) + "<"

    (path,) = (made.session / "aux" / "gipp").glob("*GIP_R2EQOG_*_B04.DBL")
    text = path.read_text("utf-8")
    useful = re.sub(r"(<LINE\d>)([^<]*)<", darker, text)
    (tmp_path / path.name).write_text(useful, "utf-8")
    other = scene.with_gipp(R2EQOG={"B04": tmp_path / path.name})
    assert other.l1b_store is None
    with dask.config.set(scheduler="synchronous"):
        same = other.diff("L1B", bands=("B04", "B03"))
        raw = other.diff("L1A", bands=("B04",))
    # ten counts off every pixel, blind ones included: the line offset takes them back
    assert abs(float(same["mean"].sel(band="B04"))) < 0.1
    assert float(same.changed.sel(band="B03")) == 0
    assert float(raw.changed.sel(band="B04")) == 0


def test_what_does_not_fit_is_refused_at_once(scene: Scene, made: Run, tmp_path: Path) -> None:
    path = _edited(made, tmp_path, "R2ABCA", "S2A", "S2B")
    with pytest.raises(InputError, match="S2B"):
        scene.with_gipp(R2ABCA=path)
    with pytest.raises(ConfigurationError, match="with_gipp"):
        scene.diff("L1B")


def test_quantiles_are_exact() -> None:
    random = np.random.default_rng(5)
    old = random.integers(1, 4000, (200, 300)).astype(np.uint16)
    new = (old + random.integers(-5, 9, old.shape)).clip(1).astype(np.uint16)
    old[:3] = 0
    parts = [Differences.between(new[a : a + 37], old[a : a + 37]) for a in range(0, 200, 37)]
    found = Differences.total(parts)
    change = new[3:].astype(int) - old[3:]
    assert found.one_sided == 900
    assert found.mean == pytest.approx(change.mean())
    for q in (0.0, 0.01, 0.37, 0.5, 0.99, 1.0):
        assert found.quantile(q) == np.quantile(change, q, method="inverted_cdf")
    assert found.changed == pytest.approx(100 * (change != 0).mean())


def test_intermediates_have_the_shape_of_their_step(made: Run) -> None:
    scene = open_datastrip(made.store("L0"))
    with dask.config.set(scheduler="synchronous"):
        shapes = {until: scene.l1b("B10", 6, until=until)[:2].compute().shape[1] for until in STEPS}
        plain = scene.l1b("B10", 6, only=("dark_signal", "blind_pixels", "binning"))[:50].compute()
        whole = scene.l1b("B10", 6)[:50].compute()
    expected = {"dark_signal": 1296, "binning": 425}
    assert shapes == {until: expected.get(until, 1276) for until in STEPS}
    assert scene.l1b("B10", 6, only=("dark_signal",)).shape[1] == 1276
    assert plain.shape == whole.shape
    assert (plain != whole).any()
