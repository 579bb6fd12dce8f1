"""Zarr products of ESA as they are: arrays, attributes and encodings of a real one, with pixels written into it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from s2dask.errors import InputError
from s2dask.io.opener import open_product

PRODUCT = "S2B_MSIL1C_20250113T103309_N0511_R108_T32TLQ_20250113T122458"
GROUPS = ("measurements/reflectance/r60m", "quality/mask/r60m", "conditions/mask/l1c_classification/r60m")
B01 = f"{GROUPS[0]}/b01"


def _node(tree: dict[str, Any], path: str) -> dict[str, Any]:
    for part in path.split("/"):
        tree = tree["members"][part]
    return tree


@pytest.fixture
def product(reference_data: Path, tmp_path: Path) -> Path:
    """Return the 60 m groups of a real EOPF product (CPM 2, Zarr 2) from its metadata."""
    stated = json.loads((reference_data / "eopf" / f"{PRODUCT}.json").read_text("utf-8"))
    path = tmp_path / f"{PRODUCT}.zarr"
    root = zarr.open_group(str(path), mode="w", zarr_format=2, attributes=stated["attributes"])
    for where in GROUPS:
        group = root.require_group(where)
        for name, node in _node(stated, where)["members"].items():
            array = group.create_array(
                name,
                shape=tuple(node["shape"]),
                chunks=tuple(node["chunks"]),
                dtype=node["dtype"],
                fill_value=node["fill_value"],
                attributes=node["attributes"],
            )
            array[...] = np.arange(array.size, dtype=array.dtype).reshape(array.shape)
    zarr.consolidate_metadata(str(path))
    return path


def test_reflectance_is_decoded_and_masks_stay_integers(product: Path) -> None:
    tree = open_product(str(product))
    image = tree[B01]
    counts = np.arange(1830 * 1830).astype(np.uint16).reshape(1830, 1830)
    assert image.dtype.kind == "f"
    assert image.chunks == ((305,) * 6,) * 2
    np.testing.assert_allclose(image.values, np.where(counts == 0, np.nan, counts * 1e-4 - 0.1), atol=1e-9)
    for where, name in ((GROUPS[1], "b01"), (GROUPS[2], "b00")):
        mask = tree[f"{where}/{name}"]
        assert mask.dtype == np.uint8
        assert mask.values[0, 0] == 0
        assert "flag_masks" in mask.attrs
    assert "s2dask" not in tree.attrs
    assert tree.attrs["other_metadata"]["horizontal_CRS_code"] == "EPSG:32632"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"add_offset": 0.0}, "add_offset 0, baseline 05.11 has one"),
        ({"scale_factor": None}, "counts without scale_factor"),
        ({"scale_factor": None, "add_offset": None}, "counts without scale_factor and add_offset"),
        ({"scale_factor": 0.0}, "no valid scale_factor"),
    ],
)
def test_counts_that_cannot_be_told_from_reflectance_are_refused(
    product: Path, change: dict[str, float | None], message: str
) -> None:
    array = zarr.open_group(str(product), mode="r+", use_consolidated=False)[B01]
    attrs = array.attrs.asdict() | change
    array.attrs.put({key: value for key, value in attrs.items() if value is not None})
    zarr.consolidate_metadata(str(product))
    with pytest.raises(InputError, match=message):
        open_product(str(product))


def test_a_product_that_is_not_consolidated_opens(product: Path) -> None:
    (product / ".zmetadata").unlink()
    assert open_product(str(product))[B01].dtype.kind == "f"
