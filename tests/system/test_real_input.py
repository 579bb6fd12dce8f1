"""Real input: the orbit, attitude, viewing directions and terrain of a real datastrip, and a real L1C product."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from s2dask.cli import app
from s2dask.cluster.local import local_client
from s2dask.geometry.tiles import tile_at
from s2dask.io.eopf_reader import tile_facts
from s2dask.io.schema import reflectance_path
from s2dask.production.chain import run
from s2dask.simulate.comparison import Truth, geolocation


@pytest.mark.row("IPF-29")
def test_a_session_on_a_real_orbit(reference_data: Path, tmp_path: Path) -> None:
    session = tmp_path / "session"
    options = ["--geometry", str(reference_data / "geometry" / "l1b"), "--detectors", "8", "--bands", "B01,B04"]
    done = CliRunner().invoke(app, ["simulate", str(session), *options, "--window", "9000"])
    assert done.exit_code == 0, done.output
    truth = Truth(f"{session}/truth.zarr")
    with local_client(2, dashboard=False) as client:
        summary = run(
            str(session), client=client, to="L1C", out=str(tmp_path / "products"), tile=tile_at(*truth.attrs["centre"]),
            window=truth.window, keep=True,
        )  # fmt: skip
    found = geolocation(next(url for key, url in summary.stores.items() if key.startswith("L1C")), truth)
    assert found.patches >= 20
    assert found.rms < 1.0
    attrs = zarr.open_group(summary.stores["L0"], mode="r").attrs["s2dask"]
    assert (attrs["unit"], attrs["relative_orbit"]) == ("S2A", 23)


@pytest.mark.row("IPF-36")
def test_a_real_l1c_product_becomes_l2a(reference_data: Path, tmp_path: Path) -> None:
    (source,) = (reference_data / "l2a" / "pixels" / "safe_decimated").glob("*MSIL1C*.zip")
    with local_client(2, dashboard=False) as client:
        summary = run(str(source), client=client, to="L2A", out=str(tmp_path))
    (name,) = {Path(p).parent.name for p in summary.products}
    # of the same sensing; when it was made is its own
    assert name[:44] == source.stem.replace("MSIL1C", "MSIL2A")[:44]
    assert summary.flags == ["no DEM: sea level assumed", "too little dark vegetation: default aerosol assumed"]
    assert not summary.withheld
    group = zarr.open_group(str(tmp_path / name / f"{name}.zarr"), mode="r")
    counts = group[reflectance_path(10, "B04")][...]
    assert counts.shape == (172, 172)
    surface = (counts[counts > 0] - 1000.0) / 10000.0
    # semi-arid New South Wales: bright in the red, and brighter below the atmosphere than the dark sea would be
    assert 0.05 < np.median(surface) < 0.4
    assert 0.0 < tile_facts(group.attrs)["record"]["aot_mean"] < 0.5
    item = json.loads((tmp_path / name / f"{name}.json").read_text())
    assert item["properties"]["platform"] == "sentinel-2a"
