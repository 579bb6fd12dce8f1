"""The SAFE of an L2A tile."""

from pathlib import Path
from typing import Final

import numpy as np

from s2dask.io.schema_tile import L2A_BANDS, reflectance_path
from s2dask.release.jpeg2000 import Profile, write_jp2
from s2dask.release.picture import tile_tci
from s2dask.release.safe_l1c import prepare, write_masks, write_metadata, write_preview
from s2dask.release.safe_tile_xml import Mask, TileContent
from s2dask.release.tile_store import TileStore

_CLASSES: Final = "conditions/mask/l2a_classification/r{r}m/scl"
_L1C_CLASSES: Final = "conditions/mask/l1c_classification/r60m/b00"
_PERCENTAGES: Final = (
    ("SATURATED_DEFECTIVE_PIXEL_PERCENTAGE", (1,)),
    ("DARK_FEATURES_PERCENTAGE", (2,)),
    ("CLOUD_SHADOW_PERCENTAGE", (3,)),
    ("VEGETATION_PERCENTAGE", (4,)),
    ("NOT_VEGETATED_PERCENTAGE", (5,)),
    ("WATER_PERCENTAGE", (6,)),
    ("UNCLASSIFIED_PERCENTAGE", (7,)),
    ("MEDIUM_PROBA_CLOUDS_PERCENTAGE", (8,)),
    ("HIGH_PROBA_CLOUDS_PERCENTAGE", (9,)),
    ("THIN_CIRRUS_PERCENTAGE", (10,)),
    ("SNOW_ICE_PERCENTAGE", (11,)),
)
_CLOUDS: Final = (8, 9, 10)
_WATER: Final = 6
_AOT_METHODS: Final = {"DDV": "SEN2COR_DDV", "SEN2COR_DDV": "SEN2COR_DDV", "CAMS": "CAMS"}
"""AOT_RETRIEVAL_METHOD of the schema for ours; SEN2COR_DDV is its only word for dark vegetation."""


def class_percentages(classes: np.ndarray) -> dict[str, float]:
    """Return the shares of the scene classes, named as in the metadata [%].

    Parameters
    ----------
    classes : (y, x) uint8 [1]
        SCL at 20 m.

    Notes
    -----
    No data is a share of all pixels, every other class of those with data. Clouds are medium and high probability
    and thin cirrus. *Over land* leaves out the pixels classified as water: no static water map is consulted.
    """
    counts = np.bincount(classes.ravel(), minlength=12).astype(np.float64)
    valid = max(counts[1:].sum(), 1.0)
    clouds = counts[list(_CLOUDS)].sum()
    out = {
        "CLOUDY_PIXEL_PERCENTAGE": 100.0 * clouds / valid,
        "CLOUDY_PIXEL_OVER_LAND_PERCENTAGE": 100.0 * clouds / max(valid - counts[_WATER], 1.0),
        "DEGRADED_MSI_DATA_PERCENTAGE": 0.0,
        "NODATA_PIXEL_PERCENTAGE": 100.0 * counts[0] / max(classes.size, 1),
    }
    for name, values in _PERCENTAGES:
        out[name] = 100.0 * counts[list(values)].sum() / valid
    return {name: float(value) for name, value in out.items()}


def _image_content(store: TileStore, degraded: float) -> dict[str, float | str]:
    """Return Image_Content_QI: classes, means of AOT and water vapour, and how they were found."""
    a = store.attrs
    classes = store.read(_CLASSES.format(r=20))
    out: dict[str, float | str] = dict(class_percentages(classes))
    out["DEGRADED_MSI_DATA_PERCENTAGE"] = degraded
    out |= dict.fromkeys(
        ("RADIATIVE_TRANSFER_ACCURACY", "WATER_VAPOUR_RETRIEVAL_ACCURACY", "AOT_RETRIEVAL_ACCURACY"), 0.0
    )
    out["AOT_RETRIEVAL_METHOD"] = _AOT_METHODS.get(str(a.get("aot_retrieval_method")), "DEFAULT")
    valid = classes > 0
    for name, short in (("GRANULE_MEAN_AOT", "aot"), ("GRANULE_MEAN_WV", "wvp")):
        layer = store.read(f"quality/atmosphere/r20m/{short}")
        out[name] = float(layer[valid].mean()) / 1000.0 if valid.any() else 0.0
    ozone = (a.get("record") or {}).get("ozone_mean")
    out["OZONE_SOURCE"] = "AUX_ECMWFT" if ozone is not None else "OTHER"
    out["OZONE_VALUE"] = float(ozone) if ozone is not None else 0.0
    return out


def _write_images(store: TileStore, folder: Path, profile: Profile) -> list[str]:
    names, grid = store.names, store.grid
    images: list[str] = []

    def write(content: str, resolution: int, image: object) -> None:
        name = names.image(content, resolution)
        where = f"{names.granule_folder}/IMG_DATA/R{resolution}m"
        (folder / where).mkdir(exist_ok=True)
        write_jp2(folder / where / str(name), image, grid, resolution, profile=profile)  # type: ignore[arg-type]
        images.append(f"{where}/{name.stem}")

    for resolution, bands in L2A_BANDS.items():
        for band_name in bands:
            write(band_name, resolution, store.arrays[reflectance_path(resolution, band_name)])
        write("TCI", resolution, tile_tci(store, resolution))
        for content in ("AOT", "WVP"):
            write(content, resolution, store.arrays[f"quality/atmosphere/r{resolution}m/{content.lower()}"])
        if resolution != 10:
            write("SCL", resolution, store.arrays[_CLASSES.format(r=resolution)])
    return images


def _coarser(layer: np.ndarray) -> np.ndarray:
    """Return a 20 m layer at 60 m: the rounded mean of 3 x 3 pixels, the last row and column repeated if need be."""
    rows, columns = (-(-n // 3) for n in layer.shape)
    padding = [(0, 3 * m - n) for m, n in zip((rows, columns), layer.shape, strict=True)]
    cells = np.pad(layer, padding, mode="edge").reshape(rows, 3, columns, 3)
    return np.asarray(np.floor(cells.mean(axis=(1, 3)) + 0.5), np.uint8)


def _write_probabilities(store: TileStore, folder: Path) -> list[Mask]:
    masks: list[Mask] = []
    fine = {
        "CLDPRB": store.read("quality/probability/r20m/cld"),
        "SNWPRB": store.read("quality/probability/r20m/snw"),
    }
    for resolution in (20, 60):
        for kind, layer in fine.items():
            mask = Mask(f"MSK_{kind}", f"{store.names.granule_folder}/QI_DATA/MSK_{kind}_{resolution}m.jp2")
            write_jp2(folder / mask.path, layer if resolution == 20 else _coarser(layer), store.grid, resolution)
            masks.append(mask)
    return masks


def write_safe_l2a(
    tile_zarr: str,
    parent: str | Path,
    l1c_zarr: str | None = None,
    meteo: str | None = None,
    jp2_profile: Profile = "s2-strict",
) -> Path:
    """Write the SAFE of an L2A store.

    Parameters
    ----------
    tile_zarr : str
        L2A store; a whole tile or a window of one.
    parent : str or Path
        Folder that the SAFE is made in.
    l1c_zarr : str, optional
        L1C store the tile was made of: its masks (MSK_DETFOO, MSK_QUALIT, MSK_CLASSI) go with the product; default:
        those that the L2A store itself has.
    meteo : str, optional
        ECMWF GRIB file to put into AUX_DATA.
    jp2_profile : {"s2-strict", "s2-fast", "htj2k"}
        How the images are coded: see `s2dask.release.jpeg2000`.

    Returns
    -------
    Path
        The ``.SAFE`` folder.
    """
    store = TileStore.open(tile_zarr, "L2A")
    folder = Path(parent) / store.names.product.safe
    prepare(store, folder, meteo)
    images = _write_images(store, folder, jp2_profile)
    masks: list[Mask] = []
    degraded, l1c_tile = 0.0, None
    if l1c_zarr is not None:
        source = TileStore.open(l1c_zarr, "L1C")
        masks, degraded = write_masks(store, source, folder)
        l1c_tile = str(source.names.tile)
    elif store.has(_L1C_CLASSES):
        masks, degraded = write_masks(store, store, folder)
        l1c_tile = store.attrs.get("l1c_tile")
    masks += _write_probabilities(store, folder)
    content = TileContent(_image_content(store, degraded), masks, write_preview(store, folder), l1c_tile)
    write_metadata(store, folder, images, content)
    return folder
