"""Conversion between SAFE and Zarr: the same bytes after a round trip, whole or not at all, damage refused by name."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from release_model import NAMES, make_l1c, make_l2a

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.io.datastrip_document import DATASTRIP
from s2dask.io.opener import open_product
from s2dask.production.convert import convert
from s2dask.release.tile import release_l1c, release_l2a


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deliver an L1C and an L2A, SAFE and Zarr."""
    where = tmp_path_factory.mktemp("delivered")
    l1c, l2a = make_l1c(where / "l1c.zarr"), make_l2a(where / "l2a.zarr")
    release_l1c(l1c, str(where))
    release_l2a(l2a, str(where), l1c)
    return where


def product(delivered: Path, level: str, suffix: str) -> Path:
    return delivered / NAMES[level] / f"{NAMES[level]}{suffix}"


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_a_safe_comes_back_byte_by_byte(delivered: Path, tmp_path: Path, level: str) -> None:
    safe = product(delivered, level, ".SAFE")
    made = Path(convert(str(safe), str(tmp_path / "a.zarr")))
    back = Path(convert(str(made), str(tmp_path)))
    assert back.name == safe.name
    assert contents(back).keys() == contents(safe).keys()
    assert contents(back) == contents(safe)
    assert sorted(p.name for p in tmp_path.iterdir()) == [safe.name, "a.zarr"]


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_safe_and_zarr_hold_the_same_pixels(delivered: Path, tmp_path: Path, level: str) -> None:
    direct = open_product(str(product(delivered, level, ".zarr")))
    made = open_product(convert(str(product(delivered, level, ".SAFE")), str(tmp_path)))
    safe = open_product(str(product(delivered, level, ".SAFE")))
    # a SAFE has no place for the uncertainty
    names = {
        f"{node.path}/{name}"
        for node in direct.subtree
        for name in node.data_vars
        if not node.path.startswith("/quality/uncertainty")
    }
    for tree in (made, safe):
        # the metadata of its datastrip come with a SAFE only
        there = {f"{node.path}/{name}" for node in tree.subtree for name in node.data_vars}
        assert there - {f"/{DATASTRIP}"} == names
        for name in names:
            assert tree[name].dtype.kind == direct[name].dtype.kind, name
            assert tree[name].chunks is not None or name.startswith("/conditions/geometry/"), name
            # grids of angles have six digits in XML; SAFE reflectance is float32
            np.testing.assert_allclose(
                tree[name].values, direct[name].values, atol=1e-3 if "geometry" in name else 1e-6
            )


def test_a_repeated_conversion_is_harmless_and_another_is_refused(delivered: Path, tmp_path: Path) -> None:
    safe, target = str(product(delivered, "L1C", ".SAFE")), tmp_path / "a.zarr"
    convert(safe, str(target))
    before = contents(target)
    convert(safe, str(target))
    assert contents(target) == before
    with pytest.raises(ConfigurationError, match="already there"):
        convert(str(product(delivered, "L2A", ".SAFE")), str(target))
    assert contents(target) == before


@pytest.mark.parametrize(("suffix", "target"), [(".SAFE", "a.zarr"), (".zarr", "a.SAFE")])
def test_killed_and_repeated_it_is_whole(delivered: Path, tmp_path: Path, suffix: str, target: str) -> None:
    command = [sys.executable, "-m", "s2dask.cli", "convert", str(product(delivered, "L1C", suffix))]
    running = subprocess.Popen([*command, str(tmp_path / "out" / target)], stdout=subprocess.DEVNULL)
    began = time.monotonic()
    while not any(p.is_file() for p in tmp_path.glob(f"out/.{target}.*.part/**/*")):
        assert running.poll() is None
        assert time.monotonic() - began < 60
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "out" / target).exists()
    convert(str(product(delivered, "L1C", suffix)), str(tmp_path / "out" / target))
    convert(str(product(delivered, "L1C", suffix)), str(tmp_path / "once" / target))
    assert contents(tmp_path / "out" / target) == contents(tmp_path / "once" / target)


def _damaged(delivered: Path, tmp_path: Path, level: str = "L1C") -> Path:
    safe = product(delivered, level, ".SAFE")
    return Path(shutil.copytree(safe, tmp_path / safe.name))


@pytest.mark.parametrize(
    ("level", "pattern"),
    [
        ("L1C", "*_B03.jp2"),
        ("L1C", "MSK_QUALIT_B03.jp2"),
        ("L2A", "*_AOT_20m.jp2"),
        ("L2A", "MSK_CLDPRB_20m.jp2"),
    ],
)
def test_a_missing_file_is_named(delivered: Path, tmp_path: Path, level: str, pattern: str) -> None:
    safe = _damaged(delivered, tmp_path, level)
    lost = next(path for path in safe.rglob(pattern) if "DETFOO" not in path.name)
    lost.unlink()
    for read in (open_product, lambda path: convert(path, str(tmp_path / "a.zarr"))):
        with pytest.raises(InputError, match=lost.name):
            read(str(safe))
    assert not (tmp_path / "a.zarr").exists()


def test_a_truncated_image_is_named(delivered: Path, tmp_path: Path) -> None:
    safe = _damaged(delivered, tmp_path)
    image = next(safe.rglob("IMG_DATA/*_B03.jp2"))
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.raises(InputError, match="B03"):
        convert(str(safe), str(tmp_path / "a.zarr"))
    with pytest.raises(InputError, match="B03"):
        open_product(str(safe))["measurements/reflectance/r10m/b03"].compute()
    assert [p.name for p in tmp_path.iterdir()] == [safe.name]


def test_missing_offsets_are_refused(delivered: Path, tmp_path: Path) -> None:
    safe = _damaged(delivered, tmp_path)
    path = safe / "MTD_MSIL1C.xml"
    path.write_text(path.read_text("utf-8").replace(">-1000</RADIO_ADD_OFFSET>", ">0</RADIO_ADD_OFFSET>"), "utf-8")
    with pytest.raises(InputError, match=r"baseline 05.11 has offsets, RADIO_ADD_OFFSET states none"):
        open_product(str(safe))


def test_foreign_and_absent_products_are_refused(delivered: Path, tmp_path: Path) -> None:
    import zarr

    zarr.open_group(str(tmp_path / "foreign.zarr"), mode="w", attributes={"title": "ocean"}).create_array(
        "sst", shape=(4,), dtype="f4", dimension_names=("x",)
    )
    zarr.consolidate_metadata(str(tmp_path / "foreign.zarr"))
    with pytest.raises(InputError, match="another mission"):
        open_product(str(tmp_path / "foreign.zarr"))
    with pytest.raises(InputError, match="not L1C or L2A"):
        convert(str(tmp_path / "foreign.zarr"), str(tmp_path / "a.SAFE"))
    with pytest.raises(InputMissing, match="no such product"):
        convert(str(tmp_path / "absent.SAFE"), str(tmp_path / "a.zarr"))
    with pytest.raises(ConfigurationError, match="SAFE cannot be made"):
        convert(str(product(delivered, "L1C", ".SAFE")), str(tmp_path / "a.SAFE"))
