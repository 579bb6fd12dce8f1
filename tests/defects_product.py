"""Kinds of defects of a delivered product: what happens to its files afterwards."""

import shutil
from collections.abc import Callable
from pathlib import Path

from defects_model import Bench, Verdict, deliver, inspected, judged

Damage = Callable[[Path], None]


def in_product(level: str, damage: Damage) -> Callable[[Bench, Path], Verdict]:
    """Return what ``s2dask qc check`` says of a damaged SAFE, less what it says of the whole one."""

    def run(bench: Bench, folder: Path) -> Verdict:
        safe = _delivered(bench, level)
        copy = Path(shutil.copytree(safe, folder / safe.name))
        whole = inspected(copy)
        damage(copy)
        found = judged(lambda: inspected(copy))
        untold = dict.fromkeys(found.errors - whole.errors, "the report says that it cannot be told")
        new = {k: v for k, v in found.failed.items() if k not in whole.failed}
        return Verdict(found.made, new | untold, found.refused)

    return run


def _delivered(bench: Bench, level: str) -> Path:
    """Return the SAFE of a bench, which is made once."""
    folder = Path(bench.l0).parent / f"delivered_{level}"
    found = list(folder.glob("out/*/*.SAFE"))
    if found:
        return found[0]
    folder.mkdir(exist_ok=True)
    return deliver(bench, level, folder)


def _image(safe: Path, pattern: str = "*_B04*.jp2") -> Path:
    return next(p for p in sorted(safe.rglob(pattern)) if "IMG_DATA" in str(p))


def truncated_image(safe: Path) -> None:
    path = _image(safe)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_alone(safe: Path) -> None:
    """Cut an image short in a folder that has no manifest, as granules are passed on."""
    no_manifest(safe)
    truncated_image(safe)


def altered_image(safe: Path) -> None:
    path = _image(safe)
    data = bytearray(path.read_bytes())
    for at in range(data.index(b"\xff\x93") + 100, len(data) - 100, 1000):
        data[at] ^= 0x10
    path.write_bytes(data)


def altered_metadata(safe: Path) -> None:
    """Change a digit of the quantification: the file is as long and as good an XML as before."""
    path = next(p for p in safe.glob("MTD_MSIL*.xml"))
    path.write_bytes(path.read_bytes().replace(b">10000<", b">20000<", 1))


def emptied_image(safe: Path) -> None:
    _image(safe).write_bytes(b"")


def missing_image(safe: Path) -> None:
    _image(safe).unlink()


def broken_metadata(safe: Path) -> None:
    (path,) = safe.glob("GRANULE/*/MTD_TL.xml")
    path.write_bytes(path.read_bytes()[:2000])


def missing_metadata(safe: Path) -> None:
    next(iter(safe.glob("DATASTRIP/*/MTD_DS.xml"))).unlink()


def strange_file(safe: Path) -> None:
    (safe / "notes.txt").write_text("left by mistake")


def no_manifest(safe: Path) -> None:
    (safe / "manifest.safe").unlink()


def image_of_other_size(safe: Path) -> None:
    shutil.copy(_image(safe, "*_B01*.jp2"), _image(safe))
