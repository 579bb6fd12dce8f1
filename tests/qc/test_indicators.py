"""What a product tells to its trends: plain names, bands and detectors, physical units."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from production_model import GAINS, facts

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.qc.collect import collect
from s2dask.qc.indicators import indicators_of, product_of

RNG = np.random.default_rng(1)


def test_a_record_comes_as_means_and_shares_with_their_bands() -> None:
    told = facts(3, "S2B", dict(GAINS), RNG)
    found = {(i.indicator, i.band): i.value for i in indicators_of(told)}
    record = told["record"]
    assert found["mean", "B8A"] == record["b8a.sum"] / record["b8a.valid"]
    assert found["standard_deviation", "B04"] == pytest.approx(0.1)
    assert found["saturated_percentage", "B02"] == pytest.approx(2e-3)
    assert found["physical_gain", "B11"] == GAINS["B11"]
    assert found["solar_zenith", ""] == told["solar_zenith"]
    (check,) = [i for i in indicators_of(told) if i.checklist]
    assert (check.indicator, check.status, check.value) == ("Data_Loss", "PASSED", 0.0)


def test_coded_reflectance_of_l2a_comes_as_reflectance() -> None:
    told = facts(0, "S2A", {"B02": 1.0}, RNG, "L2A")
    found = {(i.indicator, i.band): i.value for i in indicators_of(told)}
    assert found["value_min_20m", "B02"] == pytest.approx(-0.015)
    assert found["value_max_20m", "B02"] == pytest.approx(0.8)


def test_detectors_of_a_datastrip() -> None:
    record = {"d05.b8a.pixels": 100.0, "d05.b8a.count": 80.0, "d05.b8a.sum": 8000.0, "d05.b8a.lost": 20.0}
    told = {"level": "L1B", "unit": "S2A", "sensing_start": "2026-10-01T00:00:00.000Z", "record": record}
    found = {i.indicator: i for i in indicators_of(told)}
    assert (found["mean"].value, found["mean"].band, found["mean"].detector) == (100.0, "B8A", 5)
    assert found["lost_percentage"].value == 20.0
    assert product_of(told, "/x/strip.zarr").kind == "DATASTRIP"


def test_what_is_no_number_is_not_measured() -> None:
    told = {"level": "L1C", "record": {"noise": float("nan")}}
    (noise,) = indicators_of(told)
    assert (noise.indicator, noise.value) == ("noise", None)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"level": "L3"}, InputError, "level is 'L3'"),
        ({"unit": "S9A"}, ConfigurationError, "no such unit"),
        ({"sensing_time": "yesterday"}, InputError, "is no date"),
        ({"sensing_time": ""}, InputError, "sensing_start"),
    ],
)
def test_a_product_without_an_identity_is_refused(wrong: dict[str, str], error: type[Exception], message: str) -> None:
    told = facts(0, "S2A", dict(GAINS), RNG) | wrong
    with pytest.raises(error, match=message):
        product_of(told, "product.zarr")


def test_dates_of_any_form_are_one() -> None:
    told = facts(0, "S2A", dict(GAINS), RNG)
    forms = ("2026-10-01T00:30:00.000Z", "20261001T003000Z", "2026-10-01T02:30:00+02:00")
    assert {product_of(told | {"sensing_time": form}, "a").sensing_time for form in forms} == {forms[0]}


def test_attributes_without_sense_are_refused_by_name(tmp_path: Path) -> None:
    told = facts(0, "S2A", dict(GAINS), RNG, "L2A")
    del told["quantification"]
    path = tmp_path / "product.zarr"
    zarr.create_group(path, attributes={"s2dask": told})
    with pytest.raises(InputError, match=r"product\.zarr: attributes without sense .KeyError: 'quantification'"):
        collect(str(path))
    with pytest.raises(InputMissing, match="no such product"):
        collect(str(tmp_path / "none.zarr"))


def test_the_same_product_has_one_identity_and_its_reprocessing_another() -> None:
    told = facts(0, "S2A", dict(GAINS), RNG)
    again = told | {"generation_time": "2027-01-01T00:00:00.000Z"}
    assert product_of(told, "a").identity == product_of(dict(told), "b").identity
    assert product_of(told, "a").identity != product_of(again, "a").identity


def test_a_real_product_without_pixels_tells_gains_and_checks(reference_data: Path) -> None:
    folder = (
        reference_data / "radiometry/metadata/l2a/S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE"
    )
    told = collect(str(folder), pixels=False)
    kinds = {product.kind: (product, indicators) for product, indicators, _ in told}
    product, indicators = kinds["PRODUCT"]
    assert (product.level, product.unit, product.tile, product.baseline) == ("L2A", "S2B", "33XWJ", "04.00")
    gains = {i.band: i.value for i in indicators if i.indicator == "physical_gain"}
    assert (gains["B04"], gains["B8A"], len(gains)) == (4.74331253, 5.72039368, 13)
    assert {i.status for i in kinds["TILE"][1] if i.checklist} >= {"PASSED"}
