"""Files that are cut short or altered are noticed: by the manifest, and images by their own codestream."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from s2dask.qc.engine import ItemReport, check_product
from s2dask.qc.functions_files import damage

SAFE = "S2A_MSIL1C_20210908T042701_N0301_R133_T46RER_20210908T070248.SAFE"
TILE = "GRANULE/L1C_T46RER_A032448_20210908T043714/MTD_TL.xml"


@pytest.fixture
def product(reference_data: Path, tmp_path: Path) -> Path:
    """Return a copy of the metadata of a real product, with its own manifest."""
    target = Path(shutil.copytree(reference_data / "radiometry/metadata/l1c" / SAFE, tmp_path / SAFE))
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def outcome(product: Path, *, look: bool = True) -> dict[str, str]:
    """Return the messages of the checks of files of a product that failed, by id."""
    report: ItemReport = check_product(str(product), look=look)[0]
    told = {r.id: r for r in report.results}
    assert {"File_Sizes", "File_Checksums"} <= set(told)
    return {name: told[name].message for name in ("File_Sizes", "File_Checksums") if told[name].status != "PASSED"}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _altered(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b">10000<", b">20000<", 1))


@pytest.mark.parametrize("look", [True, False])
def test_a_real_manifest_agrees_with_the_real_files(product: Path, look: bool) -> None:
    assert outcome(product, look=look) == {}


@pytest.mark.parametrize(
    ("file", "change", "check", "says"),
    [
        (TILE, _cut, "File_Sizes", "MTD_TL.xml has 196654 bytes, 196754 are stated"),
        ("MTD_MSIL1C.xml", _altered, "File_Checksums", "MTD_MSIL1C.xml has SHA3-256 "),
    ],
)
def test_what_was_done_to_a_file_is_said(
    product: Path, file: str, change: Callable[[Path], None], check: str, says: str
) -> None:
    change(product / file)
    found = outcome(product, look=False)
    assert list(found) == [check]
    assert says in found[check]
    assert check_product(str(product), look=False)[0].conclusion == "FAILED"


def test_a_zip_is_looked_at_like_a_folder(product: Path) -> None:
    _altered(product / "MTD_MSIL1C.xml")
    archive = shutil.make_archive(str(product), "zip", product.parent, product.name)
    assert list(outcome(Path(archive))) == ["File_Checksums"]


def test_a_checksum_that_is_not_known_is_an_error(product: Path) -> None:
    manifest = product / "manifest.safe"
    manifest.write_text(manifest.read_text("utf-8").replace('"SHA3-256"', '"CRC-7"'), "utf-8")
    assert "checksum 'CRC-7' is not known" in outcome(product)["File_Checksums"]


def _image(tile: int, extension: str = ".jp2") -> bytes:
    pixels = np.random.default_rng(5).integers(1, 4000, (1, 200, 150), np.uint16)
    form = {"driver": "JP2OpenJPEG", "blockxsize": tile, "blockysize": tile, "QUALITY": 100, "REVERSIBLE": "YES"}
    place = {"width": 150, "height": 200, "count": 1, "dtype": "uint16", "transform": Affine(10, 0, 0, 0, -10, 0)}
    with MemoryFile(ext=extension) as file:
        with rasterio.open(file.name, "w", **form, **place) as target:
            target.write(pixels)
        return bytes(file.read())


@pytest.fixture(scope="module")
def image() -> bytes:
    return _image(64)


def test_images_of_several_makers_are_whole(image: bytes, reference_data: Path) -> None:
    real = sorted((reference_data / "l2a/pixels").rglob("*.jp2"))[:5]
    assert real
    for data in (image, _image(256), _image(64, ".j2k"), *(path.read_bytes() for path in real)):
        assert damage(io.BytesIO(data), len(data)) == ""


@given(share=st.floats(0.001, 0.999))
def test_an_image_that_is_cut_anywhere_is_damaged(image: bytes, share: float) -> None:
    part = image[: int(share * len(image))]
    assert damage(io.BytesIO(part), len(part))


def test_a_tile_part_of_another_length_and_a_lost_end_are_told(image: bytes) -> None:
    at = image.index(b"\xff\x90\x00\x0a")
    longer = (
        image[: at + 6] + (int.from_bytes(image[at + 6 : at + 10], "big") + 1).to_bytes(4, "big") + image[at + 10 :]
    )
    assert "has no tile-part at byte" in damage(io.BytesIO(longer), len(longer))
    endless = image[:-2] + b"\0\0"
    assert damage(io.BytesIO(endless), len(endless)) == "has no end marker"
    assert damage(io.BytesIO(b"\0" * 50), 50) == "no JPEG 2000 file"


def test_a_tile_without_manifest_is_told_by_its_codestreams_alone(
    reference_data: Path, tmp_path: Path, image: bytes
) -> None:
    (source,) = (reference_data / "radiometry/metadata/l1c" / SAFE).rglob("MTD_TL.xml")
    folder = tmp_path / "L1C_T46RER_A032448_20210908T043714"
    (folder / "IMG_DATA").mkdir(parents=True)
    shutil.copyfile(source, folder / "MTD_TL.xml")
    (folder / "IMG_DATA" / "T46RER_20210908T042701_B01.jp2").write_bytes(image)
    (folder / "IMG_DATA" / "T46RER_20210908T042701_B02.jp2").write_bytes(b"")  # stands for pixels that are absent
    (made,) = check_product(str(folder), look=False)
    assert "Image_Codestreams" not in {r.id for r in made.results}, "the mission's reports do not have it"
    (folder / "IMG_DATA" / "T46RER_20210908T042701_B03.jp2").write_bytes(image[:-1000])
    (made,) = check_product(str(folder), look=False)
    found = next(r for r in made.results if r.id == "Image_Codestreams")
    assert (found.status, found.severity) == ("FAILED", "concluding")
    assert "1 of 2 images and masks" in found.message
    assert f"B03.jp2 has {len(image) - 1000} bytes" in found.message
