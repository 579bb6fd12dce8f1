"""The datation that the GIPPs of a session ask for, and what real products show of it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from s2dask.errors import InputError
from s2dask.instrument import BANDS, LINE_PERIOD
from s2dask.io.safe_l0 import gps_date
from s2dask.l0.datation import DatationModel
from s2dask.production.datation import datation_model

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _aux(folder: Path, reference_data: Path, scenario: str | None) -> str:
    """Return a folder of auxiliary files with the real GIP_DATATI of S2B, and the real GIP_PRDLOC as if of S2B."""
    gipp = folder / "gipp"
    gipp.mkdir()
    real = reference_data / "radiometry/gipp"
    datation = next(real.glob("S2B_OPER_GIP_DATATI_*.DBL"))
    (gipp / datation.name).write_bytes(datation.read_bytes())
    if scenario is not None:
        location = next(real.glob("S2C_OPER_GIP_PRDLOC_*.DBL"))
        text = location.read_text("utf-8").replace("S2C", "S2B").replace(">EXOGENEOUS<", f">{scenario}<")
        (gipp / location.name.replace("S2C", "S2B")).write_text(text, "utf-8")
    return str(folder)


@pytest.mark.row("IPF-03")
@pytest.mark.parametrize("scenario", ["NOMINAL", "LINEAR_REGRESSION", "EXOGENEOUS"])
def test_the_scenario_is_that_of_the_gipps(reference_data: Path, tmp_path: Path, scenario: str) -> None:
    model = datation_model(_aux(tmp_path, reference_data, scenario), "S2B", NOW)
    assert model.scenario == scenario
    assert model.delta_on_t0 == {(d, name): -0.002 for d in range(1, 13) for name in BANDS}
    assert (model.largest_period_error, model.sigmas, model.largest_residual) == pytest.approx((9e-3, 3.0, 9e-3))
    assert (model.line_period, model.refined_period) == pytest.approx((LINE_PERIOD, LINE_PERIOD), rel=1e-15)


def test_without_gipps_the_constants_are_the_public_ones(reference_data: Path, tmp_path: Path) -> None:
    assert datation_model(str(tmp_path), "S2B", NOW) == DatationModel()
    aux = _aux(tmp_path, reference_data, None)
    assert datation_model(aux, "S2B", NOW).scenario == "NOMINAL"
    assert datation_model(aux, "S2A", NOW) == DatationModel()
    assert datation_model(aux, "S2B", datetime(2016, 1, 1, tzinfo=UTC)) == DatationModel()


def test_an_unknown_scenario_is_refused(reference_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"PRDLOC.*DATATION_SCENARIO: 'GUESS' is none of"):
        datation_model(_aux(tmp_path, reference_data, "GUESS"), "S2B", NOW)


def _stamps(path: Path) -> tuple[str, dict[tuple[int, int], int]]:
    """Return the model and the dates by detector and band index that the metadata of a datastrip have."""
    (stamp,) = etree.parse(path).getroot().iter("{*}Time_Stamp")
    dates = {
        (int(e.get("detectorId", "0")), int(b.get("bandId", "0"))): gps_date(e.findtext("{*}GPS_TIME") or "")
        for b in stamp.iter("{*}Band_Time_Stamp")
        for e in b.iter("{*}Detector")
    }
    return str(stamp.get("usedModel")), dates


@pytest.mark.row("IPF-03")
def test_a_real_strip_is_dated_as_the_gipp_says(reference_data: Path) -> None:
    """The same strip as L0 and as L1C: whole lines are cut, and DELTA_ON_T0, -0.002, is added, in seconds."""
    root, strip = reference_data / "radiometry/metadata", "S20221011T064025"
    before, initial = _stamps(next(root.glob(f"l0/*{strip}.xml")))
    after, exogenous = _stamps(next(p for p in root.rglob("*MTD_L1C_DS*.xml") if strip in p.name))
    assert (before, after) == ("INITIAL", "EXOGENEOUS")
    assert len(initial) == len(exogenous) == 156
    factors = np.array([list(BANDS.values())[index].line_factor for _, index in initial])
    moved = np.array([exogenous[key] - initial[key] for key in initial]) + 2_000_000
    lines = np.round(moved / (LINE_PERIOD * 1e9 * factors))
    # L1C has its dates in microseconds
    assert np.abs(moved - lines * LINE_PERIOD * 1e9 * factors).max() < 2_000
    cuts = next((reference_data / "radiometry/gipp").glob("*PRDLOC*.DBL")).read_text("utf-8")
    (first,) = re.findall(r'band_id="0">\s*<DETECTOR_LIST>\s*<DETECTOR detector_id="01">\s*<BEGIN\w+>(\d+)<', cuts)
    assert int(first) == lines[list(initial).index((1, 0))] == 783
