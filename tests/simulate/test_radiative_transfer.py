"""The simulator's sky against other codes, closed formulas and the laws that any sky must keep."""

import bz2
import csv
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, UNITS
from s2dask.simulate import radiative_transfer as transfer
from s2dask.simulate.radiative_transfer_angles import spherical_functions
from s2dask.simulate.radiative_transfer_bands import (
    HIGHEST_SUN,
    band_coefficients,
    band_sky,
    band_wavelengths,
    molecular_thickness,
    sky_at,
)
from s2dask.simulate.radiative_transfer_mie import ANGLES, CONTINENTAL, Component, Optics, mix, sphere_sums

MOLECULES, AEROSOL = (st.floats(0.0, most, allow_subnormal=False) for most in (0.4, 1.0))
TEST_AEROSOL = Component(0.1, 1.8, 1.0, ((0.4, 1.45, 0.0035), (2.5, 1.45, 0.0035)))


def cosine(degrees: float) -> float:
    return float(np.cos(np.radians(degrees)))


@cache
def optics(wavelength: float) -> Optics:
    return mix(wavelength, (TEST_AEROSOL,))


@cache
def continental(wavelength: float) -> Optics:
    return mix(wavelength)


def path_reflectance(sky: transfer.Sky, phase: np.ndarray, sza: float, vza: float, raa: float) -> float:
    """Return the path reflectance of one geometry from the parts that the solver gives."""
    mu0, mu = cosine(sza), cosine(vza)
    turn = -(mu0 * mu + np.sqrt((1 - mu0**2) * (1 - mu**2)) * cosine(raa))
    by_aerosol = np.interp(np.degrees(np.arccos(turn)), ANGLES, phase)
    light = transfer.illuminate(sky, (mu0,), (mu,))
    once = transfer.once(sky, (transfer.molecular_phase(turn), by_aerosol), np.array(mu0), np.array(mu))
    often = light.multiple[:, 0, 0] @ np.cos(np.arange(transfer.MODES) * np.radians(raa + 180))
    return float(often / mu0 + once[0] + once[1])


def test_against_three_codes_at_single_wavelengths(reference_data: Path) -> None:
    """Cases of 6SV1.1, SASKTRAN2 (polarised) and PythonicDISORT (fluxes), with the same optical thickness."""
    lines = (reference_data / "l2a/rt_reference/mono_6SV_SASKTRAN2_DISORT.txt").read_text("utf-8").splitlines()
    cases = [line for line in lines if re.match(r"\d", line)]
    assert len(cases) == 30
    for line in cases:
        wavelength, sza, vza, raa = (float(v) for v in re.split(r"[ /]+", line)[1:5])
        molecules, aerosol = (float(v) for v in line.split("tau ")[1].split()[:2])
        known = {
            key: float(value)
            for key, value in re.findall(r"(6SV|SKv|Td 6S|Tu 6S|\| S 6S) +([\d.]+)", line.split("| ms")[0])
        }
        o = optics(wavelength)
        sky = transfer.Sky(molecules, aerosol, o.albedo, o.expansion)
        path = path_reflectance(sky, o.phase, sza, vza, raa)
        light = transfer.illuminate(sky, (cosine(sza),), (cosine(vza),))
        assert path == pytest.approx(known["6SV"], abs=5e-4), line
        assert path == pytest.approx(known["SKv"], abs=1e-4), line
        assert float(light.transmittance[0]) == pytest.approx(known["Td 6S"], abs=1e-3), line
        assert float(light.upward[0]) == pytest.approx(known["Tu 6S"], abs=1e-3), line
        assert light.spherical_albedo == pytest.approx(known["| S 6S"], abs=1e-3), line


def sixs_rows(reference_data: Path) -> list[dict[str, str]]:
    with (reference_data / "l2a/rt_reference/sixsv11_S2A_continental.csv").open("r", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def band_name(row: dict[str, str]) -> str:
    return "B8A" if row["band"] == "8A" else f"B{int(row['band']):02d}"


@pytest.mark.parametrize("band", BANDS)
def test_against_6sv_in_bands(reference_data: Path, band: str) -> None:
    rows = [row for row in sixs_rows(reference_data) if band_name(row) == band]
    assert len(rows) > 10
    for row in rows:
        sza, vza, raa = (float(row[k]) for k in ("sza_deg", "vza_deg", "raa_deg(0=backscatter)"))
        pressure = 1012.5 if float(row["alt_km"]) == 0 else 1012.5 * 0.19797 / 0.23693  # of its molecules in B01
        sky = band_sky("S2A", band, float(row["aot550"]))
        at = (np.array(v) for v in (sza, vza, raa, pressure))
        path, through, albedo, gas = (float(v) for v in band_coefficients(sky, *at, []))
        assert gas == 1
        assert path == pytest.approx(float(row["atm_intrinsic_refl_nogas"]), abs=0.002)
        assert through == pytest.approx(float(row["T_scat_down"]) * float(row["T_scat_up"]), rel=0.01)
        assert albedo == pytest.approx(float(row["spherical_albedo"]), abs=0.003)


def test_aerosol_agrees_with_the_published_continental_model(reference_data: Path) -> None:
    folder = reference_data / "l2a/aerosol_6sv"
    with (folder / "continental_coef_6sv.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    phases = np.loadtxt(folder / "continental_ph_6sv.csv", delimiter=",", skiprows=1)
    middle = continental(0.55).extinction
    for i, row in enumerate(rows):
        wavelength = float(row["Wlgth"]) / 1000
        if row["Wlgth"] not in ("443", "488", "670", "860", "1650", "2250"):
            continue
        found = continental(wavelength)
        assert found.extinction / middle == pytest.approx(float(row["Nor_Ext_Co"]), rel=0.005)
        assert found.albedo == pytest.approx(float(row["Sg_Sca_Alb"]), abs=0.005)
        assert found.expansion[0, 1] / 3 == pytest.approx(float(row["Asymm_Para"]), abs=0.003)
        back = phases[:, 0] >= 90
        at = np.interp(phases[back, 0], ANGLES, found.phase)
        np.testing.assert_allclose(at, phases[back, i + 1], rtol=0.02)


def test_wavelengths_of_a_band_have_the_moments_of_its_response(reference_data: Path) -> None:
    with bz2.open(reference_data / "l2a/solar/Thuillier2003.txt.bz2", "rt") as file:
        sun = np.loadtxt(file, skiprows=1)
    for name in ("S2A", "S2B", "S2C"):
        text = (reference_data / f"l2a/srf/{name}_MSI_V4.txt").read_text("utf-8")
        parts = re.split(rf"# {name}_MSI Band (\w+)\n", text)[1:]
        assert len(parts) == 26
        for key, table in zip(parts[::2], parts[1::2], strict=True):
            band = f"B{key.zfill(2)}"
            response = np.array([row.split() for row in table.splitlines() if row and row[0] != "#"], np.float64)
            weight = response[:, 1] * np.interp(response[:, 0], sun[:, 0], sun[:, 1])
            away = response[:, 0] / 1000 - 0.001 * response[:, 0].mean()
            wavelengths, share = band_wavelengths(name, band)
            for power, rounding in enumerate((2e-6, 2e-6, 3e-7, 5e-8)):
                expected = float(weight @ away**power / weight.sum())
                found = float(share @ (wavelengths - 0.001 * response[:, 0].mean()) ** power)
                assert found == pytest.approx(expected, abs=rounding), (name, band, power)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("band", BANDS)
def test_wavelengths_surround_the_centre(unit: str, band: str) -> None:
    centre = UNITS[unit].bands[band].centre / 1000
    wavelengths, share = band_wavelengths(unit, band)
    assert wavelengths[0] < centre < wavelengths[1]
    assert float(share @ wavelengths) == pytest.approx(centre, abs=0.006)
    assert float(share.sum()) == pytest.approx(1, abs=2e-6)


def test_an_unknown_band_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="B13"):
        band_wavelengths("S2A", "B13")


@settings(max_examples=15, deadline=None)
@given(MOLECULES, AEROSOL, st.floats(5, 75))
def test_without_absorption_no_light_is_lost(molecules: float, aerosol: float, sza: float) -> None:
    o = optics(0.488)
    light = transfer.illuminate(transfer.Sky(molecules, aerosol, 1.0, o.expansion), (cosine(sza),), (0.99,))
    assert float(light.transmittance[0] + light.plane_albedo[0]) == pytest.approx(1, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(MOLECULES, AEROSOL, st.floats(0.5, 1.0))
def test_a_path_is_the_same_both_ways(molecules: float, aerosol: float, albedo: float) -> None:
    """What an isotropic ground sends into a direction is what the ground receives from it; S closes the balance."""
    angles = tuple(cosine(z) for z in (5.0, 30.0, 55.0, 70.0))
    sky = transfer.Sky(molecules, aerosol, albedo, optics(0.488).expansion)
    light = transfer.illuminate(sky, angles, angles)
    np.testing.assert_allclose(light.upward, light.transmittance, atol=2e-4)
    assert (light.direct <= light.transmittance + 1e-12).all()
    # light of the ground either leaves the sky, averaged over the hemisphere, or comes back
    node, weight = np.polynomial.legendre.leggauss(8)
    mu = 0.5 * (node + 1)
    gone = float(transfer.illuminate(sky, (0.5,), tuple(mu.tolist())).upward @ (weight * mu))
    assert gone + light.spherical_albedo <= 1 + 1e-3
    if albedo == 1.0:
        assert gone + light.spherical_albedo == pytest.approx(1, abs=1e-3)


def test_thin_air_scatters_once() -> None:
    sky = transfer.Sky(1e-4, 0.0, 1.0, transfer.molecular_expansion())
    path = path_reflectance(sky, np.ones(ANGLES.size), 35, 8, 100)
    mu0, mu = cosine(35), cosine(8)
    turn = -(mu0 * mu + np.sqrt((1 - mu0**2) * (1 - mu**2)) * cosine(100))
    assert path == pytest.approx(1e-4 * float(transfer.molecular_phase(np.array(turn))) / (4 * mu0 * mu), rel=2e-3)


def test_polarisation_matters_in_the_blue() -> None:
    """Scalar transfer of the molecular sky at 443 nm errs by 0.003 to 0.005 (SASKTRAN2 with and without)."""
    for sza, vza, raa, known in ((35, 8, 100, 0.09193), (60, 11, 150, 0.10048)):
        sky = transfer.Sky(0.2377, 0.0, 1.0, transfer.molecular_expansion())
        assert path_reflectance(sky, np.ones(ANGLES.size), sza, vza, raa) == pytest.approx(known, abs=1e-4)


def test_between_the_nodes_it_is_what_the_solver_says() -> None:
    random = np.random.default_rng(5)
    for band, aot in (("B01", 0.0), ("B01", 1.0), ("B02", 0.15), ("B8A", 0.3)):
        sky = band_sky("S2B", band, aot)
        for _ in range(3):
            sza, vza, raa = random.uniform(0, 78), random.uniform(0, 14), random.uniform(0, 180)
            pressure = random.uniform(450, 1050)
            path = through = dark = 0.0
            for wavelength, share in band_wavelengths("S2B", band).T.tolist():
                one = sky_at(wavelength, aot, pressure)
                light = transfer.illuminate(one, (cosine(sza), cosine(vza)), (cosine(vza),))
                path += share * path_reflectance(one, continental(wavelength).phase, sza, vza, raa)
                through += share * float(light.transmittance.prod())
                dark += share * float(light.transmittance.prod()) * light.spherical_albedo
            found = band_coefficients(sky, *(np.array(v) for v in (sza, vza, raa, pressure)), [])
            expected = (path, through, dark / through, 1.0)
            np.testing.assert_allclose([float(v) for v in found], expected, atol=1e-4)


def test_gas_below_the_air_dims_the_ground_only() -> None:
    sky = band_sky("S2A", "B8A", 0.2)
    at = [np.array(v) for v in (40.0, 5.0, 90.0, 1000.0)]
    clear = float(band_coefficients(sky, *at, [])[0])
    depth = np.array(-1.0)
    seen = {}
    for power in (0.0, 1.0, 4.0, 400.0):
        path, _, _, gas = (float(v) for v in band_coefficients(sky, *at, [(depth, power)]))
        assert gas == pytest.approx(np.exp(-1.0))
        seen[power] = path * gas
    assert seen[0.0] == pytest.approx(clear * np.exp(-1.0))
    assert seen[0.0] < seen[1.0] < seen[4.0] < seen[400.0]
    assert seen[400.0] == pytest.approx(clear, rel=1e-3)


def test_arrays_broadcast_and_a_low_sun_is_held() -> None:
    sky = band_sky("S2A", "B8A", 0.2)
    sun = np.array([[30.0], [HIGHEST_SUN], [95.0]])
    out = band_coefficients(sky, sun, np.array([2.0, 9.0]), np.array(60.0), np.array(1000.0), [])
    assert all(part.shape == (3, 2) and np.isfinite(part).all() for part in out)
    np.testing.assert_array_equal(out[0][1], out[0][2])


def test_small_spheres_scatter_as_molecules_do() -> None:
    angles = np.cos(np.radians(np.array([0.0, 60.0, 90.0, 180.0])))
    sums, matrix = np.zeros(2), np.zeros((3, 4))
    size, index = 1e-3, complex(1.5, 0.0)
    sphere_sums(np.array([size]), np.array([1.0]), index, angles, sums, matrix)
    polarisability = (index**2 - 1) / (index**2 + 2)
    assert sums[0] == pytest.approx(sums[1], rel=1e-6)
    assert sums[1] * 2 == pytest.approx(8 / 3 * size**6 * abs(polarisability) ** 2, rel=1e-4)
    np.testing.assert_allclose(matrix[0] / matrix[0, 0], (1 + angles**2) / 2, rtol=1e-5)
    np.testing.assert_allclose(matrix[1] / matrix[0, 0], (angles**2 - 1) / 2, atol=1e-5)
    np.testing.assert_allclose(matrix[2] / matrix[0, 0], angles, atol=1e-5)


def test_a_large_sphere_takes_twice_its_area() -> None:
    """Extinction of spheres of size 50 to 51, index 1.33, averaged: 2.08 to 2.2 (van de Hulst 1957: 2 + 2 x^(-2/3))."""
    sizes = np.linspace(45, 55, 101)
    sums, matrix = np.zeros(2), np.zeros((3, 1))
    sphere_sums(sizes, np.full(101, 1 / 101), complex(1.33, 1e-9), np.array([1.0]), sums, matrix)
    efficiency = 2 * sums[0] / float((sizes**2).mean())
    assert efficiency == pytest.approx(2 + 1.992 * 50 ** (-2 / 3), rel=0.02)


def test_spherical_functions_are_orthogonal() -> None:
    x, w = np.polynomial.legendre.leggauss(24)
    for m, n in ((0, 0), (0, 2), (2, 2), (2, -2), (3, 2), (3, -2), (5, 0)):
        functions = spherical_functions(12, m, n, x)
        low = max(abs(m), abs(n))
        norm = np.diag(2 / (2 * np.arange(13) + 1.0))
        norm[:low] = 0
        np.testing.assert_allclose(functions * w @ functions.T, norm, atol=1e-12)
    np.testing.assert_allclose(spherical_functions(2, 2, 2, x)[2], ((1 + x) / 2) ** 2, atol=1e-14)


@pytest.mark.parametrize(("wavelength", "known"), [(0.400, 0.3602), (0.550, 0.09721), (0.700, 0.03633)])
def test_molecules_are_as_thick_as_published(wavelength: float, known: float) -> None:
    """Hansen and Travis (1974), eq. 2.30, another formula for the same air."""
    square = wavelength**-2
    other = 0.008569 * square**2 * (1 + 0.0113 * square + 0.00013 * square**2)
    assert molecular_thickness(wavelength) == pytest.approx(other, rel=0.005)
    assert molecular_thickness(wavelength) == pytest.approx(known, rel=0.01)


def test_expansion_of_the_mix_is_normalised() -> None:
    found = mix(0.86, CONTINENTAL)
    assert float(found.expansion[0, 0]) == pytest.approx(1, abs=1e-4)
    assert (np.abs(found.expansion[1:, :2]) < 1e-12).all()
