"""Delivery of an L1C or L2A tile: SAFE, Zarr, STAC item and pictures, in one step.

The JPEG 2000 files and the Zarr can be made before by other processes, each one piece of work; the delivery links what
is there and adds the rest.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from s2dask.errors import InputMissing
from s2dask.io.object_store import PATIENCE
from s2dask.release.eopf_form import ZarrForm, check_form
from s2dask.release.jpeg2000 import Profile
from s2dask.release.picture import has_colour, write_rgb, write_scl
from s2dask.release.publish import Builder, link_file, publish
from s2dask.release.safe_l1c import finish_l1c
from s2dask.release.safe_l2a import finish_l2a
from s2dask.release.safe_pieces import Counts, Piece, masks_of, pieces, write_piece
from s2dask.release.stac import stac_item, write_stac
from s2dask.release.tile_store import TileStore
from s2dask.release.zarr_copy import copy_zarr


@dataclass(frozen=True)
class TileRelease:
    """What of a tile is delivered, and how.

    Attributes
    ----------
    url : str
        L1C or L2A store.
    l1c : str or None
        Of an L2A: the L1C store whose masks go with it.
    meteo : str or None
        ECMWF GRIB file for the SAFE's AUX_DATA; default: the one that the tile names.
    jp2_profile : {"s2-strict", "s2-fast", "htj2k"}
        How the images of the SAFE are coded: see `s2dask.release.jpeg2000`.
    zarr_form : {"eopf", "geozarr"}
        Of the Zarr: see `s2dask.release.eopf_form`.
    safe : bool
        Whether there is a SAFE, or the Zarr alone.
    """

    url: str
    l1c: str | None = None
    meteo: str | None = None
    jp2_profile: Profile = "s2-strict"
    zarr_form: ZarrForm = "eopf"
    safe: bool = True

    def __post_init__(self) -> None:
        check_form(self.zarr_form)

    @cached_property
    def store(self) -> TileStore:
        """The tile."""
        return TileStore.open(self.url)

    @cached_property
    def _l1c(self) -> TileStore | None:
        return None if self.l1c is None else TileStore.open(self.l1c, "L1C")

    @cached_property
    def masked(self) -> TileStore | None:
        """The store that has the masks of L1C."""
        return masks_of(self.store, self._l1c)

    @property
    def name(self) -> str:
        """Name of the product, without suffix."""
        return str(self.store.names.product)

    @property
    def pieces(self) -> list[Piece]:
        """The JPEG 2000 files of the SAFE, none without it."""
        return pieces(self.store, self.masked) if self.safe else []

    def write_piece(self, piece: Piece, folder: str | Path) -> Counts:
        """Write one JPEG 2000 file below ``<name>.SAFE`` of a folder; see `s2dask.release.safe_pieces.write_piece`."""
        return write_piece(self.store, self.masked, piece, Path(folder) / f"{self.name}.SAFE", self.jp2_profile)

    def write_zarr(self, folder: str | Path) -> None:
        """Write ``<name>.zarr`` in a folder; one that is there is replaced."""
        whole = self.store if self._l1c is None else self.store.with_masks(self._l1c)
        copy_zarr(whole, str(Path(folder) / f"{self.name}.zarr"), self.zarr_form)

    def finish_safe(self, folder: Path, counts: Sequence[Counts]) -> None:
        """Complete ``<name>.SAFE`` of a folder, whose JPEG 2000 files are all there."""
        safe = folder / f"{self.name}.SAFE"
        absent = [path for piece in self.pieces if not (safe / (path := piece.path(self.store.names))).is_file()]
        if absent:
            raise InputMissing(f"{len(absent)} files are not written: {absent[0]} …", str(safe), "write them first")
        if self.store.level == "L1C":
            finish_l1c(self.store, safe, counts, self.meteo)
        else:
            finish_l2a(self.store, safe, counts, self._l1c, self.meteo)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was made before a delivery.

    Attributes
    ----------
    folder : str
        With ``<name>.SAFE``, its JPEG 2000 files only, and ``<name>.zarr``; best on the file system of the delivery,
        which then links them.
    counts : sequence of Counts
        What `TileRelease.write_piece` returned for its files.
    """

    folder: str
    counts: Sequence[Counts]

    @classmethod
    def make(cls, what: TileRelease, folder: str | Path) -> Self:
        """Make everything here and now, one after the other."""
        counts = [what.write_piece(piece, folder) for piece in what.pieces]
        what.write_zarr(folder)
        return cls(str(folder), counts)


def _safe(what: TileRelease, prepared: Prepared | None, folder: Path) -> None:
    if prepared is None:
        counts = [what.write_piece(piece, folder) for piece in what.pieces]
    else:
        source = Path(prepared.folder) / f"{what.name}.SAFE"
        shutil.copytree(source, folder / source.name, copy_function=link_file)
        counts = list(prepared.counts)
    what.finish_safe(folder, counts)


def _zarr(what: TileRelease, prepared: Prepared | None, folder: Path) -> None:
    if prepared is None:
        what.write_zarr(folder)
    else:
        source = Path(prepared.folder) / f"{what.name}.zarr"
        shutil.copytree(source, folder / source.name, copy_function=link_file)


def release_tile(what: TileRelease, delivery: str, prepared: Prepared | None = None) -> list[str]:
    """Deliver a tile: SAFE if wanted, Zarr (zstd), STAC item, quick-look and at L2A scene classification, in one step.

    Parameters
    ----------
    what : TileRelease
    delivery : str
        Folder in which the folder of the product, named after it, appears.
    prepared : Prepared, optional
        What other processes made of it; default: everything is made here.

    Returns
    -------
    list of str
        Paths of what was delivered.
    """
    store, name = what.store, what.name
    pictures: dict[str, Builder] = {}
    if has_colour(store):
        pictures["rgb"] = lambda folder: write_rgb(what.url, folder / f"{name}_rgb.png")
    if store.level == "L2A":
        pictures["scl"] = lambda folder: write_scl(what.url, folder / f"{name}_scl.png")
    forms: dict[str, Builder] = {"safe": partial(_safe, what, prepared)} if what.safe else {}
    forms["zarr"] = partial(_zarr, what, prepared)
    hrefs = {form: f"./{name}.{'SAFE' if form == 'safe' else form}" for form in forms}
    hrefs |= {key: f"./{name}_{key}.png" for key in pictures}
    item = stac_item(store, hrefs, what.zarr_form)
    builders: list[Builder] = [
        *forms.values(), *pictures.values(),
        lambda folder: write_stac(item, folder / f"{name}.json"),
    ]  # fmt: skip
    room = None if prepared is None else Path(prepared.folder)
    return publish(builders, f"{delivery.rstrip('/')}/{name}", room=room, patience=PATIENCE)


def release_l1c(
    zarr_url: str, delivery: str, meteo: str | None = None, jp2_profile: Profile = "s2-strict",
    zarr_form: ZarrForm = "eopf",
) -> list[str]:  # fmt: skip
    """Deliver an L1C tile: `release_tile` of a store of this level."""
    what = TileRelease(TileStore.open(zarr_url, "L1C").url, None, meteo, jp2_profile, zarr_form)
    return release_tile(what, delivery)


def release_l2a(
    zarr_url: str, delivery: str, l1c_url: str | None = None, meteo: str | None = None,
    jp2_profile: Profile = "s2-strict", zarr_form: ZarrForm = "eopf",
) -> list[str]:  # fmt: skip
    """Deliver an L2A tile, with the masks of its L1C: `release_tile` of a store of this level."""
    what = TileRelease(TileStore.open(zarr_url, "L2A").url, l1c_url, meteo, jp2_profile, zarr_form)
    return release_tile(what, delivery)
