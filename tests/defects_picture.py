"""A contact sheet of seeded defects: clean, defect, and what the checks say.

``python tests/defects_picture.py WORK FILE.png``, with the folder of sessions of `defects_table`.
"""

import sys
import tempfile
import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
from defects_model import Bench, build, stored
from defects_table import BENCHES, KINDS, trial
from PIL import Image

from s2dask.instrument import BANDS
from s2dask.io.schema import image_path, reflectance_path

SIZE = 96
SHOWN = {
    "column without response, not listed": ("L1B", "B04", (600, 1440)),
    "column 6 % too bright": ("L1B", "B03", (600, 940)),
    "GIP_R2EQOG with the response of another detector": ("L1B", "B04", (600, 1440)),
    "noise doubled": ("L1B", "B04", (600, 1440)),
    "half of a band saturated": ("L1B", "B02", (600, 1440)),
    "packets of a band lost": ("L1B", "B08", (620, 1440)),
    "two packets of a band swapped": ("L1B", "B08", (620, 1440)),
    "chunk of the image of a band lost": ("L1C", "B07", (60, 60)),
    "GIP_VIEDIR of a 10 m band one pixel off": ("RGB", "B03", (150, 130)),
    "every tenth line of a band without data": ("L1C", "B08", (100, 100)),
    "attitude told 40 µrad off, with a reference image": ("L1C", "B04", (150, 130)),
    "everything is snow": ("SCL", "", (0, 0)),
}
"""What of a product is shown: image, and first row and column."""
COLOURS = np.array(
    [[0, 0, 0], [255, 0, 0], [47, 47, 47], [100, 50, 0], [0, 160, 0], [255, 230, 90], [0, 0, 255], [128, 128, 128],
     [192, 192, 192], [255, 255, 255], [100, 200, 255], [255, 150, 255]], np.uint8,
)  # fmt: skip


def _crop(store: str, what: str, name: str, place: tuple[int, int]) -> np.ndarray:
    part = tuple(slice(at, at + SIZE) for at in place)
    if what == "L1B":
        return stored(store, image_path(6, name))[part]
    if what == "SCL":
        return COLOURS[stored(store, "conditions/mask/l2a_classification/r20m/scl")]
    names = ("B04", "B03", "B02") if what == "RGB" else (name,)
    images = [stored(store, reflectance_path(BANDS[n].resolution, n))[part].astype(float) for n in names]
    return np.stack(images, -1) if what == "RGB" else images[0]


def _stretched(image: np.ndarray, like: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    low, high = np.percentile(like, (1, 99), axis=(0, 1))
    return np.clip((image - low) / np.maximum(high - low, 1), 0, 1)


def main(work: Path, target: Path) -> None:
    """Draw the sheet."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    chosen = [kind for kind in KINDS if kind.name in SHOWN]
    made: dict[str, Bench] = {
        name: build(work / f"{name}1", BENCHES[name][0](1), BENCHES[name][1]) for name in {k.bench for k in chosen}
    }
    figure, axes = plt.subplots(-(-len(chosen) // 2), 6, figsize=(11, 1.75 * -(-len(chosen) // 2)), squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for k, kind in enumerate(chosen):
        what, name, place = SHOWN[kind.name]
        bench, level = made[kind.bench], {"L1B": "l1b", "SCL": "l2a"}.get(what, "l1c")
        with tempfile.TemporaryDirectory(dir=work) as folder:
            told = trial(kind, bench, 1, Path(folder))
            clean = _crop(getattr(bench, level), what, name, place)
            wrong = _crop(f"{folder}/new_{level}.zarr", what, name, place)
        left, middle, right = axes[k // 2, 3 * (k % 2) : 3 * (k % 2) + 3]
        for axis, image, title in ((left, clean, "clean"), (middle, wrong, "defect")):
            axis.imshow(_stretched(image, clean), cmap="gray", vmin=0, vmax=1 if image.dtype != np.uint8 else None)
            axis.set_title(title, fontsize=6)
        said = "\n".join(textwrap.wrap(f"{', '.join(sorted(told.noticed)) or 'no check'}: {told.said}", 34))
        right.text(0, 1, "\n".join(textwrap.wrap(f"{kind.level} {kind.name}", 30)), va="top", fontsize=7, weight="bold")
        right.text(0, 0.62, said, va="top", fontsize=6)
    figure.tight_layout(pad=0.4)
    figure.savefig(target, dpi=80)
    with Image.open(target) as sheet:
        sheet.convert("RGB").quantize(64).save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
