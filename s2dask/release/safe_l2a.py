"""The SAFE of an L2A tile."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from s2dask.release.jpeg2000 import Profile
from s2dask.release.safe_l1c import mask_percentages, prepare, write_metadata
from s2dask.release.safe_pieces import SCENE_CLASSES, Counts, masks_of, pieces, write_piece
from s2dask.release.tile_store import TileStore

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
_ACCURACIES: Final = {
    "RADIATIVE_TRANSFER_ACCURACY": "radiative_transfer_accuracy",
    "WATER_VAPOUR_RETRIEVAL_ACCURACY": "water_vapour_accuracy",
    "AOT_RETRIEVAL_ACCURACY": "aot_accuracy",
}
"""Fields of the metadata, 0 to 100 %, and where the record of a tile tells them; 0 where it does not, as ESA's."""
_CLOUDS: Final = (8, 9, 10)
_WATER: Final = 6
_AOT_METHODS: Final = {"DDV": "SEN2COR_DDV", "DDV+CAMS": "SEN2COR_DDV", "SEN2COR_DDV": "SEN2COR_DDV", "CAMS": "CAMS"}
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
    classes = store.read(SCENE_CLASSES.format(r=20))
    out: dict[str, float | str] = dict(class_percentages(classes))
    out["DEGRADED_MSI_DATA_PERCENTAGE"] = degraded
    record = a.get("record") or {}
    out |= {name: float(record.get(key, 0.0)) for name, key in _ACCURACIES.items()}
    out["AOT_RETRIEVAL_METHOD"] = _AOT_METHODS.get(str(a.get("aot_retrieval_method")), "DEFAULT")
    valid = classes > 0
    for name, short in (("GRANULE_MEAN_AOT", "aot"), ("GRANULE_MEAN_WV", "wvp")):
        layer = store.read(f"quality/atmosphere/r20m/{short}")
        out[name] = float(layer[valid].mean()) / 1000.0 if valid.any() else 0.0
    ozone = record.get("ozone_mean")
    out["OZONE_SOURCE"] = "AUX_ECMWFT" if ozone is not None else "OTHER"
    out["OZONE_VALUE"] = float(ozone) if ozone is not None else 0.0
    return out


def finish_l2a(
    store: TileStore,
    folder: Path,
    counts: Iterable[Counts],
    l1c: TileStore | None = None,
    meteo: str | None = None,
) -> Path:
    """Complete the SAFE of an L2A store whose images and masks are written.

    Parameters
    ----------
    store : TileStore
    folder : Path
        SAFE folder.
    counts : iterable of Counts
        What `s2dask.release.safe_pieces.write_piece` returned for its files.
    l1c : TileStore, optional
        L1C store whose masks go with the product.
    meteo : str, optional
        As for `write_safe_l2a`.
    """
    prepare(store, folder, meteo)
    l1c_tile = str(l1c.names.tile) if l1c else store.attrs.get("l1c_tile")
    made = pieces(store, masks_of(store, l1c))
    degraded, lost = mask_percentages(counts)
    write_metadata(store, folder, made, _image_content(store, degraded), l1c_tile, lost)
    return folder


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
    l1c = None if l1c_zarr is None else TileStore.open(l1c_zarr, "L1C")
    folder, masked = Path(parent) / store.names.product.safe, masks_of(store, l1c)
    counts = [write_piece(store, masked, piece, folder, jp2_profile) for piece in pieces(store, masked)]
    return finish_l2a(store, folder, counts, l1c, meteo)
