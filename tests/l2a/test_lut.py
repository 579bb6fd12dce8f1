"""The tables of radiative transfer that come with s2dask: against 6SV1.1, in closure, and against foolish input."""

import csv
import json
import shutil
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import s2dask
from s2dask.commands.lut import app
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.instrument.gas import absorptions
from s2dask.l2a import atmosphere
from s2dask.l2a.lut import coefficients, transfer
from s2dask.lut.asset import FORMAT, INDEX, file_name, read_table

TABLES = Path(s2dask.__file__).parent / "data" / "lut"
MODELS = ("continental", "maritime")
UNITS = ("S2A", "S2B", "S2C")
PLACE = (35.0, 8.0, 100.0, 0.2, 1000.0)


def nodes_6sv(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    rows = csv.DictReader((folder / "l2a/rt_reference/sixsv11_S2A_continental.csv").read_text("utf-8").splitlines())
    by_band: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_band.setdefault(f"B{row['band']:0>2}", []).append(row)
    return {
        band: {name: np.array([float(row[name]) for row in found]) for name in found[0] if name != "band"}
        for band, found in by_band.items()
    }


def pressure_of(nodes: dict[str, np.ndarray]) -> np.ndarray:
    """Of the US standard atmosphere of 1962."""
    return np.asarray(1013.25 * (1 - 2.25577e-5 * 1000 * nodes["alt_km"]) ** 5.2559)


@pytest.mark.row("IPF-36")
def test_against_6sv(reference_data: Path) -> None:
    total = 0
    for band, nodes in nodes_6sv(reference_data).items():
        place = (nodes[name] for name in ("sza_deg", "vza_deg", "raa_deg(0=backscatter)", "aot550"))
        found = transfer("S2A", band, *place, pressure_of(nodes))
        total += found.path.size
        assert abs(found.path - nodes["atm_intrinsic_refl_nogas"]).max() < 0.002, band
        assert abs(found.down / nodes["T_scat_down"] - 1).max() < 0.01, band
        assert abs(found.up / nodes["T_scat_up"] - 1).max() < 0.01, band
        assert abs(found.spherical_albedo - nodes["spherical_albedo"]).max() < 0.003, band
    assert total == 260


def test_water_dims_the_path_as_in_6sv(reference_data: Path) -> None:
    for band, nodes in nodes_6sv(reference_data).items():
        if band == "B10":  # what is left there is noise
            continue
        place = (nodes[name] for name in ("sza_deg", "vza_deg", "raa_deg(0=backscatter)", "aot550"))
        vapour, ozone = nodes["wv_g_cm2"], 1000 * nodes["o3_cm_atm"]
        # 6SV has the vapour of the standard profile above the height
        above = np.where(nodes["alt_km"] > 0, np.exp(-nodes["alt_km"] / 2.0), 1.0) * vapour
        c = coefficients("S2A", band, *place, pressure_of(nodes), above, ozone)
        tolerance = 0.0015 if band == "B09" else 0.0012
        assert abs(c.gas * c.path - nodes["toa_path_refl_with_gas"]).max() < tolerance, band


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("unit", UNITS)
def test_what_is_shipped(unit: str, model: str) -> None:
    t = read_table(unit, model)
    assert t.multiple.shape[0] == len(BANDS)
    assert (np.diff(t.transmittance, axis=1) <= 1e-5).all()
    assert (np.diff(t.transmittance, axis=2) < 0).all()
    assert (t.direct <= t.transmittance + 1e-5).all()
    assert ((t.transmittance > 0) & (t.transmittance <= 1)).all()
    assert ((t.spherical_albedo > 0) & (t.spherical_albedo < 0.6)).all()
    assert {f"{unit}_MSI_V4.txt", "Thuillier2003.txt.bz2"} <= t.origin.keys()


def test_the_shipped_tables_are_small() -> None:
    names = {path.name for path in TABLES.glob("*.zarr.zip")}
    assert names == {file_name(unit, model) for unit in UNITS for model in MODELS}
    assert sum(path.stat().st_size for path in TABLES.iterdir()) < 25e6


def test_arguments_broadcast() -> None:
    sun, view = np.full((3, 1, 1), 40.0), np.linspace(2, 9, 4)
    found = coefficients("S2B", "B08", sun, view, 120.0, 0.15, 950.0, 2.0, 320.0)
    assert all(part.shape == (3, 1, 4) for part in found)


angles = st.tuples(st.floats(0, 80), st.floats(0, 15), st.floats(-400, 400))


@given(angles, st.floats(0, 2), st.floats(300, 1080), st.floats(-0.02, 1.2), st.sampled_from(sorted(BANDS)))
def test_forward_and_back(place: Any, aot: float, pressure: float, ground: float, band: str) -> None:
    c = coefficients("S2A", band, *place, aot, pressure, 1.5, 300.0)
    toa = c.gas * (c.path + c.transmittance * ground / (1 - c.spherical_albedo * ground))
    level = toa / c.gas - c.path
    assert abs(level / (c.transmittance + c.spherical_albedo * level) - ground) < 1e-4


@given(angles, st.floats(0, 2), st.floats(300, 1080), st.sampled_from(sorted(BANDS)))
def test_light_is_not_made(place: Any, aot: float, pressure: float, band: str) -> None:
    found = transfer("S2C", band, *place, aot, pressure, aerosol="maritime")
    for total, direct in ((found.down, found.direct_down), (found.up, found.direct_up)):
        assert 0 <= direct <= total + 2e-4
        assert total <= 1.0001
    cosine = np.cos(np.radians(place[0]))
    assert found.path >= 0
    assert found.path * cosine < 1
    assert found.down * (1 - found.spherical_albedo) <= 1


@given(st.floats(0, 80), st.floats(0, 15), st.floats(0, 180), st.floats(0, 1.9), st.floats(300, 1070))
def test_no_steps_between_nodes(sun: float, view: float, azimuth: float, aot: float, pressure: float) -> None:
    near = transfer("S2A", "B02", sun, view, azimuth, np.array([aot, aot + 1e-6]), pressure + np.array([0.0, 1e-3]))
    for values in near:
        assert abs(np.diff(values))[0] < 1e-5


def test_azimuth_is_a_circle() -> None:
    found = transfer("S2A", "B01", 50.0, 9.0, np.array([30.0, -30.0, 330.0, 390.0, -690.0]), 0.3, 1000.0).path
    np.testing.assert_allclose(found, found[0], rtol=1e-12)
    # more light comes back than goes on, at these angles: 0 is backscatter
    backscatter, forward = transfer("S2A", "B01", 50.0, 9.0, np.array([0.0, 180.0]), 0.0, 1013.0).path
    assert backscatter > forward


def test_reciprocity() -> None:
    found = transfer("S2A", "B03", 10.0, 10.0, 0.0, 0.4, 980.0)
    assert found.down == found.up
    assert found.direct_down == found.direct_up


def test_s2d_takes_the_table_of_s2c() -> None:
    assert transfer("S2D", "B04", *PLACE).path == transfer("S2C", "B04", *PLACE).path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sun_zenith", 80.5), ("sun_zenith", -1.0), ("sun_zenith", np.nan), ("view_zenith", 16.0), ("aot", 2.1),
        ("aot", -0.01), ("aot", np.nan), ("aot", np.inf), ("pressure", 200.0), ("pressure", 1100.0),
        ("pressure", np.nan), ("relative_azimuth", np.nan), ("relative_azimuth", np.inf),
    ],
)  # fmt: skip
def test_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    names = ("sun_zenith", "view_zenith", "relative_azimuth", "aot", "pressure")
    place = dict(zip(names, PLACE, strict=True)) | {field: np.array([PLACE[names.index(field)], value])}
    with pytest.raises(InputError, match=field):
        transfer("S2A", "B02", **place)
    if not np.isfinite(value):
        return
    end = np.clip(
        value, *({"sun_zenith": (0, 80), "view_zenith": (0, 15), "aot": (0, 2), "pressure": (300, 1080)}[field])
    )
    assert transfer("S2A", "B02", **place, clamp=True).path[1] == transfer("S2A", "B02", **place | {field: end}).path


@pytest.mark.parametrize(("field", "value"), [("water_vapour", np.nan), ("ozone", -1.0), ("water_vapour", -0.1)])
def test_gas_columns_are_checked(field: str, value: float) -> None:
    columns = {"water_vapour": 1.0, "ozone": 300.0} | {field: value}
    with pytest.raises(InputError, match=field):
        coefficients("S2A", "B09", *PLACE, **columns)


def test_unknown_names() -> None:
    with pytest.raises(ConfigurationError, match="B13"):
        transfer("S2A", "B13", *PLACE)
    with pytest.raises(InputMissing, match="volcanic"):
        transfer("S2A", "B02", *PLACE, aerosol="volcanic")
    with pytest.raises(InputMissing, match="S2E"):
        transfer("S2E", "B02", *PLACE)
    with pytest.raises(ConfigurationError, match=r"\.\./x"):
        transfer("S2A", "B02", *PLACE, aerosol="../x")


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    name = file_name("S2A", "continental")
    shutil.copy(TABLES / INDEX, tmp_path)
    content = (TABLES / name).read_bytes()
    for damaged in (content[:-100], content[:1000] + bytes([content[1000] ^ 1]) + content[1001:], b""):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match="SHA-256"):
            read_table("S2A", "continental", str(tmp_path))
    (tmp_path / file_name("S2B", "continental")).write_bytes(content)
    with pytest.raises(InputError, match="SHA-256"):
        read_table("S2B", "continental", str(tmp_path))
    (tmp_path / INDEX).unlink()
    with pytest.raises(InputMissing, match="index"):
        read_table("S2A", "continental", str(tmp_path))


def test_the_command() -> None:
    numbers = zip(("--sza", "--vza", "--raa", "--aot", "--pressure"), map(str, PLACE), strict=True)
    options = ["--unit", "S2A", "--band", "B02", "--aerosol", "continental", *chain.from_iterable(numbers)]
    result = CliRunner().invoke(app, ["eval", *options, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    found = transfer("S2A", "B02", *PLACE)
    assert facts["path_reflectance"] == found.path
    assert (facts["transmittance_down"], facts["transmittance_up"]) == (found.down, found.up)
    assert facts["spherical_albedo"] == found.spherical_albedo
    text = CliRunner().invoke(app, ["eval", *options], catch_exceptions=False).stdout
    assert "path reflectance" in text
    assert "backscatter" in CliRunner().invoke(app, ["eval", "--help"]).stdout


def test_gas_from_another_table(tmp_path: Path) -> None:
    path = tmp_path / "gas.csv"
    path.write_text("unit,band,gas,a,n,p,u\nS2A,B09,h2o,-0.7,0.5,0,0.05\n", "utf-8")
    other = atmosphere.gas_transmittance("S2A", "B09", 2.0, 1000.0, 1.0, 300.0, table=str(path))
    np.testing.assert_allclose(other, np.exp(-0.7 * 2**0.5))
    assert atmosphere.gas_transmittance("S2A", "B03", 2.0, 1000.0, 1.0, 300.0, table=str(path)) == 1.0
    with pytest.raises(InputMissing, match="S2B"):
        absorptions("S2B", "B09", str(path))
    with pytest.raises(InputMissing, match="nowhere"):
        absorptions("S2A", "B09", str(tmp_path / "nowhere.csv"))


@pytest.mark.parametrize("line", ["S2A,B09,h2o,nan,0.5,0,0.05", "S2A,B09,h2o,-0.7,0.5", "S2A,B09,h2o,0.7,0.5,0,0.05"])
def test_a_damaged_table_of_gas_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"unit,band,gas,a,n,p,u\n{line}\n", "utf-8")
    with pytest.raises(InputError, match=r"bad\.csv"):
        absorptions("S2A", "B09", str(path))


def test_the_uncertainty_of_water_vapour_absorption_is_stated() -> None:
    for unit in (*UNITS, "S2D"):
        (vapour,) = (absorber for absorber in absorptions(unit, "B09") if absorber.gas == "h2o")
        # of the transmittance at one and two air masses of 1 to 3 cm
        for amount in (2.0, 6.0):
            relative = vapour.uncertainty * -vapour.a * amount**vapour.n
            assert 0.03 < relative < 0.09
    assert FORMAT == 1
