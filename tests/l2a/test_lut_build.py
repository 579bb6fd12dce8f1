"""The builder of the tables: its input, its files, and its solution against another solver where there is one."""

import bz2
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.instrument import unit as unit_of
from s2dask.l2a.lut import transfer
from s2dask.lut.asset import INDEX, Table, file_name, read_table, write_table
from s2dask.lut.bands import Source
from s2dask.lut.build import build_tables
from s2dask.lut.column import GRID, rayleigh_thickness
from s2dask.lut.particles import COMPONENTS, MODELS
from s2dask.lut.single import cosine_of_scattering, single_scattering

ROOT = Path(__file__).resolve().parents[2]


def small_table(seed: int = 1) -> Table:
    random = np.random.default_rng(seed)
    bands, angle = len(BANDS), np.arange(80.0, 181.0)
    cells = (GRID.aot.size, GRID.pressure.size)
    sizes = {
        "multiple": (bands, *(axis.size for axis in GRID)),
        "thin": (bands, 3),
        "phase": (bands, angle.size),
        "transmittance": (bands, GRID.zenith.size, *cells),
        "direct": (bands, GRID.zenith.size, *cells),
        "spherical_albedo": (bands, *cells),
    }
    values = {name: random.uniform(0.1, 0.9, size) for name, size in sizes.items()}
    return Table(**GRID._asdict(), zenith=GRID.zenith, angle=angle, **values, origin={"solver": "none"})


def test_a_table_is_what_was_written(tmp_path: Path) -> None:
    table = small_table()
    path = write_table(tmp_path / "a", "S2B", "urban", table)
    found = read_table("S2B", "urban", str(tmp_path / "a"))
    for name in Table._fields[:-1]:
        np.testing.assert_allclose(getattr(found, name), getattr(table, name), rtol=1e-6, atol=2e-6)
    assert found.origin == {"solver": "none"}
    again = write_table(tmp_path / "b", "S2B", "urban", table)
    assert again.read_bytes() == path.read_bytes()
    write_table(tmp_path / "a", "S2C", "urban", small_table(2))
    assert len((tmp_path / "a" / INDEX).read_text("utf-8").splitlines()) == 3
    assert read_table("S2B", "urban", str(tmp_path / "a")).origin == {"solver": "none"}


def test_a_table_of_nothing_is_refused(tmp_path: Path) -> None:
    table = small_table()
    table.multiple[3, 0, 0, 0, 0, 0] = np.nan
    write_table(tmp_path, "S2A", "urban", table)
    with pytest.raises(InputError, match="finite"):
        read_table("S2A", "urban", str(tmp_path))


def test_a_table_of_another_unit_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path, "S2A", "urban", small_table())
    path.rename(tmp_path / file_name("S2B", "urban"))
    index = tmp_path / INDEX
    index.write_text(index.read_text("utf-8").replace("S2A", "S2B"), "utf-8")
    with pytest.raises(InputError, match="unit is 'S2A'"):
        read_table("S2B", "urban", str(tmp_path))


def test_bands_of_the_spectral_responses(reference_data: Path) -> None:
    for name in ("S2A", "S2B", "S2C"):
        source = Source(reference_data / "l2a", name)
        for band in BANDS:
            wavelength, weight = source.weights(band)
            assert weight.sum() == pytest.approx(1)
            assert 1000 * (wavelength @ weight) == pytest.approx(unit_of(name).bands[band].centre, abs=8)


def test_spectra_are_read_with_care(reference_data: Path, tmp_path: Path) -> None:
    srf, sun = tmp_path / "srf", tmp_path / "solar"
    srf.mkdir()
    sun.mkdir()
    real = (reference_data / "l2a/srf/S2A_MSI_V4.txt").read_text("utf-8")
    light = (reference_data / "l2a/solar/Thuillier2003.txt.bz2").read_bytes()
    with pytest.raises(InputMissing, match="S2A_MSI_V4"):
        Source(tmp_path, "S2A")
    (sun / "Thuillier2003.txt.bz2").write_bytes(light)
    cases = {
        "no response of B12": real.split("# S2A_MSI Band 12")[0],
        "not of S2A": real.replace("S2A_MSI", "S2B_MSI"),
        "not numbers": real.replace("0.00177574", "zero"),
        "two columns": real.replace("0.00177574", "nan"),
    }
    for message, text in cases.items():
        (srf / "S2A_MSI_V4.txt").write_text(text, "utf-8")
        with pytest.raises((InputError, InputMissing), match=message):
            Source(tmp_path, "S2A")
    (srf / "S2A_MSI_V4.txt").write_text(real, "utf-8")
    (sun / "Thuillier2003.txt.bz2").write_bytes(bz2.compress(b"300 1\n300 2\n"))
    with pytest.raises(InputError, match="rising"):
        Source(tmp_path, "S2A")


def test_molecules() -> None:
    # Bodhaine et al. (1999), table 3: 0.4 and 0.8 um
    assert rayleigh_thickness(0.4) == pytest.approx(0.36019, rel=2e-3)
    assert rayleigh_thickness(0.8) == pytest.approx(0.021, rel=3e-2)


def test_models_are_made_of_components() -> None:
    for mix in MODELS.values():
        assert mix.keys() <= COMPONENTS.keys()
        assert sum(mix.values()) == pytest.approx(1)


def test_single_scattering_of_a_thin_layer() -> None:
    cosine = cosine_of_scattering(30.0, 0.0, 77.0)
    assert cosine == pytest.approx(-np.cos(np.radians(30)))
    found = single_scattering(0.0, 1e-4, 0.9e-4, 0.5, cosine, 30.0, 0.0)
    assert found == pytest.approx(0.5 * 0.9e-4 / (4 * np.cos(np.radians(30))), rel=1e-3)
    thick = single_scattering(0.0, 50.0, 50.0, 1.0, cosine, 0.0, 0.0)
    assert thick == pytest.approx(1 / 8, rel=1e-3)


def test_the_builder_asks_for_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise build.PackageNotFoundError(name)

    from s2dask.lut import build

    monkeypatch.setattr(build, "version", missing)
    with pytest.raises(ConfigurationError, match=r"s2dask\[lut\]"):
        build_tables("continental", ("S2A",), tmp_path, tmp_path)


BETWEEN_NODES = """
import json, sys
from pathlib import Path
import numpy as np
from s2dask.lut.bands import Source
from s2dask.lut.column import Grid, monochromatic
grid = Grid(*(np.array(axis) for axis in json.loads(sys.argv[3])))
wavelength, weight = Source(Path(sys.argv[1]) / "l2a", "S2A").weights(sys.argv[2])
middle = np.interp((np.arange(4) + 0.5) / 4, np.cumsum(weight) - weight / 2, wavelength)
print(json.dumps(np.mean([monochromatic("continental", float(at), grid).path for at in middle], axis=0).tolist()))
"""


def run_peer(*arguments: str) -> Any:
    """Run Python code with the solvers of the extra, and return the JSON that it prints."""
    python = os.environ.get("S2DASK_LUT_PYTHON", sys.executable)
    probe = subprocess.run([python, "-c", "import PythonicDISORT, sasktran2, scipy"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no interpreter with PythonicDISORT and sasktran2: set S2DASK_LUT_PYTHON")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([python, *arguments], capture_output=True, text=True, check=True, env=environment)
    return json.loads(run.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("band", ["B02", "B07"])
def test_between_the_nodes(reference_data: Path, band: str) -> None:
    axes = [[5.0, 25.0, 64.0, 78.5], [7.5], [0.0, 45.0, 165.0], [0.09, 0.45, 1.35], [690.0, 950.0]]
    expected = run_peer("-c", BETWEEN_NODES, str(reference_data), band, json.dumps(axes))
    found = transfer("S2A", band, *np.meshgrid(*axes, indexing="ij")).path
    assert abs(found - np.array(expected)).max() < 1e-3


@pytest.mark.slow
def test_against_disort(reference_data: Path) -> None:
    random = np.random.default_rng(11)
    cases = [
        (band, random.uniform(0, 70), random.uniform(0, 1.2), random.uniform(550, 1050))
        for band in ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B11", "B12")
    ]
    lines = [":".join([band, *(f"{number:.6f}" for number in numbers)]) for band, *numbers in cases]
    peer = str(Path(__file__).with_name("disort_peer.py"))
    for (band, *place), (transmittance, albedo) in zip(
        cases, run_peer(peer, str(reference_data), "S2A", *lines), strict=True
    ):
        zenith, aot, pressure = place
        found = transfer("S2A", band, zenith, 0.0, 0.0, aot, pressure)
        assert abs(found.down - transmittance) < 1e-3, (band, place)
        assert abs(found.spherical_albedo - albedo) < 1e-3, (band, place)
