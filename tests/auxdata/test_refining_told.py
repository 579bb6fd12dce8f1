"""The refining that an imported datastrip tells is that of its metadata."""

from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from s2dask.auxdata.refining import read_refining, refining_of
from s2dask.errors import InputError
from s2dask.io.safe_l0_metadata import datastrip_facts
from s2dask.io.safe_l1b_metadata import radiometry


def test_the_refining_of_the_real_product_is_carried(reference_data: Path) -> None:
    path = next((reference_data / "radiometry/metadata/l1b").glob("*_DS_*.xml"))
    expected = read_refining(etree.parse(path).getroot(), path.name)
    root = etree.parse(path).getroot()
    found = refining_of(radiometry(root, datastrip_facts(root))["refining"])
    assert expected.rotation.keys() == found.rotation.keys() == {"X", "Y", "Z"}
    for axis, values in expected.rotation.items():
        np.testing.assert_array_equal(found.rotation[axis], values)
    np.testing.assert_array_equal(found.homothety, expected.homothety)
    assert found.homothety.size == 1
    assert (found.position, set(found.focal_planes)) == (expected.position, {"VNIR", "SWIR"})


def test_what_is_not_refined_has_no_refining_and_what_is_not_known_is_refused() -> None:
    assert not refining_of({"refined": False, "rotation": {"X": [1.0]}}).rotation
    with pytest.raises(InputError, match="homothety in X"):
        refining_of({"refined": True, "homothety": {"X": [1e-6], "Z": [0.0]}})
