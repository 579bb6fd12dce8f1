"""The images and masks of a SAFE, file by file: each can be written by another process, in any order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import FLAGS, MSI_DEGRADED, MSI_LOST
from s2dask.io.grids import TileGrid
from s2dask.io.schema_tile import CLASSI_FLAGS, L2A_BANDS, footprint_path, quality_path, reflectance_path
from s2dask.qc.images import LOST
from s2dask.release.jpeg2000 import MaskLayers, Profile, write_jp2
from s2dask.release.jpeg2000_masks import write_mask
from s2dask.release.picture import has_colour, preview, tile_tci
from s2dask.release.safe_tile_xml import Mask
from s2dask.release.tile_store import TileNames, TileStore

PREVIEW_STEP: Final = 32
"""Pixels of 10 m in a pixel of the preview image: 320 m."""
L1C_CLASSES: Final = "conditions/mask/l1c_classification/r60m/b00"
SCENE_CLASSES: Final = "conditions/mask/l2a_classification/r{r}m/scl"
Counts = tuple[int, int, int]
"""Pixels of a quality mask: with lost or degraded image data, with lost image or ancillary data, and all of them."""
Kind = Literal["image", "DETFOO", "QUALIT", "CLASSI", "CLDPRB", "SNWPRB", "PVI"]
L1C_MASKS: Final = ("DETFOO", "QUALIT", "CLASSI")
"""Masks of L1C, which an L2A has too."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One JPEG 2000 file of a SAFE.

    Attributes
    ----------
    kind : str
        ``image``, the mask it is, or ``PVI``.
    content : str
        Band, or ``TCI``, ``AOT``, ``WVP``, ``SCL``; empty for what is of the whole tile.
    resolution : int
        [m]
    """

    kind: Kind
    content: str
    resolution: int

    def __str__(self) -> str:
        return "-".join(part for part in (self.kind, self.content, f"{self.resolution}m") if part not in ("", "image"))

    def path(self, names: TileNames) -> str:
        """Return the path of the file relative to the SAFE folder."""
        where = names.granule_folder
        if self.kind == "image":
            levels = names.product.level == "L2A"
            folder = f"IMG_DATA/R{self.resolution}m" if levels else "IMG_DATA"
            return f"{where}/{folder}/{names.image(self.content, self.resolution if levels else None)}"
        if self.kind == "PVI":
            return f"{where}/QI_DATA/{names.image('PVI')}"
        return f"{where}/QI_DATA/MSK_{self.kind}_{self.content or f'{self.resolution}m'}.jp2"

    def mask(self, names: TileNames) -> Mask:
        """Return what the metadata of the tile say of a mask."""
        return Mask(f"MSK_{self.kind}", self.path(names), self.content if self.content in BANDS else None)


def _l1c_images(store: TileStore) -> list[Piece]:
    there = [band(n) for n in BANDS if store.has(reflectance_path(band(n).resolution, n))]
    colour = [Piece("image", "TCI", 10)] if has_colour(store) else []
    return [*(Piece("image", b.name, b.resolution) for b in there), *colour]


def _l2a_images() -> list[Piece]:
    out: list[Piece] = []
    for r, bands in L2A_BANDS.items():
        # scene classes there are from 20 m on
        out += [Piece("image", content, r) for content in (*bands, "TCI", "AOT", "WVP", *(("SCL",) if r > 10 else ()))]
    return out


def pieces(store: TileStore, masked: TileStore | None) -> list[Piece]:
    """Return the files of the SAFE of a tile, in the order of real metadata.

    Parameters
    ----------
    store : TileStore
    masked : TileStore or None
        The store that has the masks of L1C: itself, or at L2A its L1C.
    """
    out = _l1c_images(store) if store.level == "L1C" else _l2a_images()
    if masked is not None:
        for name in [name for name in BANDS if masked.has(quality_path(band(name).resolution, name))]:
            out += [Piece("DETFOO", name, band(name).resolution), Piece("QUALIT", name, band(name).resolution)]
        out.append(Piece("CLASSI", "B00", 60))
    if store.level == "L2A":
        out += [Piece(kind, "", r) for r in (20, 60) for kind in ("CLDPRB", "SNWPRB")]
    return [*out, Piece("PVI", "", 10)] if has_colour(store) else out


def masks_of(store: TileStore, l1c: TileStore | None = None) -> TileStore | None:
    """Return the store that has the masks of a tile: its L1C, or itself, or none."""
    return l1c or (store if store.has(L1C_CLASSES) else None)


def _coarser(layer: np.ndarray) -> np.ndarray:
    """Return a 20 m layer at 60 m: the rounded mean of 3 x 3 pixels, the last row and column repeated if need be."""
    rows, columns = (-(-n // 3) for n in layer.shape)
    padding = [(0, 3 * m - n) for m, n in zip((rows, columns), layer.shape, strict=True)]
    cells = np.pad(layer, padding, mode="edge").reshape(rows, 3, columns, 3)
    return np.asarray(np.floor(cells.mean(axis=(1, 3)) + 0.5), np.uint8)


def _image(store: TileStore, piece: Piece) -> np.ndarray:
    r, content = piece.resolution, piece.content
    if content == "TCI":
        return tile_tci(store, r)
    if content in ("AOT", "WVP"):
        return store.read(f"quality/atmosphere/r{r}m/{content.lower()}")
    return store.read(SCENE_CLASSES.format(r=r) if content == "SCL" else reflectance_path(r, content))


def write_piece(
    store: TileStore, masked: TileStore | None, piece: Piece, folder: Path, profile: Profile = "s2-strict"
) -> Counts:
    """Write one file of a SAFE; it appears whole or not at all.

    Parameters
    ----------
    store, masked : TileStore
        As for `pieces`.
    piece : Piece
    folder : Path
        SAFE folder.
    profile : {"s2-strict", "s2-fast", "htj2k"}
        Of an image, a mask or a probability.

    Returns
    -------
    Counts
        Of a quality mask; else zeros.
    """
    path, r = folder / piece.path(store.names), piece.resolution
    path.parent.mkdir(parents=True, exist_ok=True)
    if piece.kind == "image":
        write_jp2(path, _image(store, piece), store.grid, r, profile=profile)
    elif piece.kind == "PVI":
        _write_preview(store, path)
    elif piece.kind in ("CLDPRB", "SNWPRB"):
        layer = store.read(f"quality/probability/r20m/{piece.kind[:3].lower()}")
        write_jp2(path, layer if r == 20 else _coarser(layer), store.grid, r, profile=profile)
    elif masked is not None:
        return _write_mask(masked, piece, path, profile)
    return 0, 0, 0


def _write_preview(store: TileStore, path: Path) -> None:
    g = store.grid
    coarse = TileGrid(g.tile_id, g.crs, g.x0, g.y0, g.width, g.height, PREVIEW_STEP * g.decimation)
    rows, columns = coarse.shape(10)
    write_jp2(path, preview(store, PREVIEW_STEP)[:, :rows, :columns], coarse, 10)


def _write_mask(masked: TileStore, piece: Piece, path: Path, profile: Profile) -> Counts:
    r, grid = piece.resolution, masked.grid
    if piece.kind == "DETFOO":
        write_jp2(path, masked.read(footprint_path(r, piece.content)), grid, r, profile=profile)
        return 0, 0, 0
    if piece.kind == "CLASSI":
        layers = MaskLayers(masked.read(L1C_CLASSES), [bit for _, bit in CLASSI_FLAGS])
        write_jp2(path, layers, grid, r, profile=profile)
        return 0, 0, 0
    flags = masked.read(quality_path(r, piece.content))
    write_mask(path, MaskLayers(flags, [bit for _, bit in FLAGS]), grid, r, profile)
    degraded, lost = (int(np.count_nonzero(flags & bits)) for bits in (MSI_LOST | MSI_DEGRADED, LOST))
    return degraded, lost, flags.size
