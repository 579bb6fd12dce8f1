"""The SAFE of an L1C tile."""

import shutil
from pathlib import Path

import numpy as np

from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import FLAGS, MSI_DEGRADED, MSI_LOST
from s2dask.io.grids import TileGrid
from s2dask.io.schema_tile import CLASSI_FLAGS, footprint_path, quality_path, reflectance_path
from s2dask.release.jpeg2000 import MaskLayers, Profile, write_jp2
from s2dask.release.picture import has_colour, preview, tile_tci
from s2dask.release.safe_datastrip_xml import datastrip_metadata
from s2dask.release.safe_inspire import inspire
from s2dask.release.safe_manifest import manifest
from s2dask.release.safe_product_xml import product_metadata
from s2dask.release.safe_tile_xml import Mask, TileContent, tile_metadata
from s2dask.release.safe_xml import write_document
from s2dask.release.tile_store import TileStore

PREVIEW_STEP = 32
"""Pixels of 10 m in a pixel of the preview image: 320 m."""
_CLASSES = "conditions/mask/l1c_classification/r60m/b00"


def write_preview(store: TileStore, folder: Path) -> str:
    """Write the preview image (PVI) of a tile and return its path inside the SAFE; empty without the colours."""
    if not has_colour(store):
        return ""
    grid = store.grid
    name = f"{store.names.granule_folder}/QI_DATA/{store.names.image('PVI')}"
    coarse = TileGrid(
        grid.tile_id, grid.crs, grid.x0, grid.y0, grid.width, grid.height, PREVIEW_STEP * grid.decimation
    )
    picture = preview(store, PREVIEW_STEP)
    write_jp2(folder / name, picture[:, : coarse.shape(10)[0], : coarse.shape(10)[1]], coarse, 10)
    return name


def write_masks(store: TileStore, source: TileStore, folder: Path) -> tuple[list[Mask], float]:
    """Write the masks per band and MSK_CLASSI of an L1C store into the SAFE of a tile.

    Parameters
    ----------
    store : TileStore
        Tile that is released; at L2A not the one that has the masks.
    source : TileStore
        L1C store.
    folder : Path
        SAFE folder.

    Returns
    -------
    masks : list of Mask
    degraded : float
        Pixels with lost or degraded image data [%], over all bands.
    """
    where = f"{store.names.granule_folder}/QI_DATA"
    grid = source.grid
    masks: list[Mask] = []
    degraded = total = 0
    for name in [name for name in BANDS if source.has(quality_path(band(name).resolution, name))]:
        resolution = band(name).resolution
        detectors, quality = Mask("MSK_DETFOO", f"{where}/MSK_DETFOO_{name}.jp2", name), Mask(
            "MSK_QUALIT", f"{where}/MSK_QUALIT_{name}.jp2", name
        )
        write_jp2(folder / detectors.path, source.arrays[footprint_path(resolution, name)], grid, resolution)
        flags = source.read(quality_path(resolution, name))
        write_jp2(folder / quality.path, MaskLayers(flags, [bit for _, bit in FLAGS]), grid, resolution)
        degraded += int(np.count_nonzero(flags & (MSI_LOST | MSI_DEGRADED)))
        total += flags.size
        masks += [detectors, quality]
    classes = Mask("MSK_CLASSI", f"{where}/MSK_CLASSI_B00.jp2")
    layers = MaskLayers(source.arrays[_CLASSES], [bit for _, bit in CLASSI_FLAGS])
    write_jp2(folder / classes.path, layers, grid, 60)
    return [*masks, classes], 100.0 * degraded / max(total, 1)


def prepare(store: TileStore, folder: Path, meteo: str | None = None) -> None:
    """Make the folders of a SAFE, with the ECMWF file in AUX_DATA where one is given or the tile names one."""
    granule = folder / store.names.granule_folder
    for name in ("IMG_DATA", "QI_DATA", "AUX_DATA"):
        (granule / name).mkdir(parents=True)
    (folder / store.names.datastrip_folder / "QI_DATA").mkdir(parents=True)
    meteo = meteo or store.attrs.get("meteo")
    if meteo and Path(meteo).is_file():
        shutil.copyfile(meteo, granule / "AUX_DATA" / "AUX_ECMWFT")


def write_metadata(
    store: TileStore, folder: Path, images: list[str], content: TileContent
) -> None:
    """Write every metadata file of a SAFE, the manifest last."""
    names = store.names
    write_document(tile_metadata(store, content), folder / names.granule_folder / "MTD_TL.xml")
    write_document(datastrip_metadata(store), folder / names.datastrip_folder / "MTD_DS.xml")
    product = product_metadata(store, images, content.quality)
    write_document(product, folder / f"MTD_MSI{store.level}.xml")
    write_document(inspire(store), folder / "INSPIRE.xml")
    write_document(manifest(store, folder), folder / "manifest.safe")


def _write_images(store: TileStore, folder: Path, profile: Profile) -> list[str]:
    names, grid = store.names, store.grid
    where = f"{names.granule_folder}/IMG_DATA"
    images: list[str] = []
    for name in [name for name in BANDS if store.has(reflectance_path(band(name).resolution, name))]:
        resolution = band(name).resolution
        image = names.image(name)
        counts = store.arrays[reflectance_path(resolution, name)]
        write_jp2(folder / where / str(image), counts, grid, resolution, profile=profile)
        images.append(f"{where}/{image.stem}")
    if not has_colour(store):
        return images
    colour = names.image("TCI")
    write_jp2(folder / where / str(colour), tile_tci(store), grid, 10)
    return [*images, f"{where}/{colour.stem}"]


def _image_content(store: TileStore, degraded: float) -> dict[str, float | str]:
    """Return Image_Content_QI; snow is the share of MSK_CLASSI, clouds what the tile's attributes state."""
    classes = store.read(_CLASSES)
    snow = dict(CLASSI_FLAGS)["SNOW_ICE"]
    return {
        "CLOUDY_PIXEL_PERCENTAGE": float(store.attrs["cloud_percentage"]),
        "DEGRADED_MSI_DATA_PERCENTAGE": degraded,
        "SNOW_PIXEL_PERCENTAGE": 100.0 * float(np.count_nonzero(classes & snow)) / classes.size,
    }


def write_safe_l1c(
    tile_zarr: str, parent: str | Path, meteo: str | None = None, jp2_profile: Profile = "s2-strict"
) -> Path:
    """Write the SAFE of an L1C store.

    Parameters
    ----------
    tile_zarr : str
        L1C store; a whole tile or a window of one.
    parent : str or Path
        Folder that the SAFE is made in.
    meteo : str, optional
        ECMWF GRIB file to put into AUX_DATA.
    jp2_profile : {"s2-strict", "s2-fast", "htj2k"}
        How the images are coded: see `s2dask.release.jpeg2000`.

    Returns
    -------
    Path
        The ``.SAFE`` folder. It is written in place: see `s2dask.release.publish` for publication in one step.
    """
    store = TileStore.open(tile_zarr, "L1C")
    folder = Path(parent) / store.names.product.safe
    prepare(store, folder, meteo)
    images = _write_images(store, folder, jp2_profile)
    masks, degraded = write_masks(store, store, folder)
    content = TileContent(_image_content(store, degraded), masks, write_preview(store, folder))
    write_metadata(store, folder, images, content)
    return folder
