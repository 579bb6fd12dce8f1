"""L1A and L1B delivered in SAFE form by a run, and tiles made of the L1B as of one that was ordered."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from lxml import etree
from system_model import Run

from s2dask.cluster.local import local_client
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.geometry.tiles import tile_at
from s2dask.io.storage import open_array
from s2dask.production.chain import Summary, run


@pytest.fixture(scope="module")
def delivered(session: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Summary]:
    out = tmp_path_factory.mktemp("safe_l1")
    with local_client(2, dashboard=False) as client:
        return {
            level: run(str(session), client=client, to=level, out=str(out / level), formats=("zarr", "safe"))
            for level in ("L1B", "L1A")
        }


def _safe(summary: Summary) -> Path:
    return next(Path(p) for p in summary.products if p.endswith(".SAFE"))


@pytest.mark.slow
@pytest.mark.row("IPF-19")
def test_a_run_delivers_valid_safe(delivered: dict[str, Summary], reference_data: Path) -> None:
    folders = {"L1A": "psd148_s2tbx", "L1B": "v15_sen2vm/Datastrip"}
    for level, summary in delivered.items():
        for kind, short in (("Granule", "GR"), ("Datastrip", "DS")):
            name = f"S2_PDI_Level-{level[1:]}_{kind}_Metadata.xsd"
            schema = etree.XMLSchema(etree.parse(reference_data / "radiometry/xsd" / folders[level] / name))
            found = list(_safe(summary).rglob(f"*_MTD_{level}_{short}_*.xml"))
            assert found
            for path in found:
                schema.assertValid(etree.parse(path))
        tasks = [o.key for o in summary.outcomes if o.key.startswith("FORMAT_IMG")]
        granules = len(list((_safe(summary) / "GRANULE").iterdir()))
        assert sorted(tasks) == [f"FORMAT_IMG_{level}-D06-G{scene:03d}" for scene in range(granules)]


@pytest.mark.slow
def test_tiles_of_the_safe_are_those_of_the_session(
    delivered: dict[str, Summary], made: Run, session: Path, tmp_path: Path
) -> None:
    source, tile = _safe(delivered["L1B"]), tile_at(*made.truth.attrs["centre"])
    with local_client(2, dashboard=False) as client:
        with pytest.raises(InputMissing, match="give --aux"):
            run(str(source), client=client, to="L1C", out=str(tmp_path))
        with pytest.raises(ConfigurationError, match="can go to L1C or L2A"):
            run(str(source), client=client, to="L1B", out=str(tmp_path), aux=str(session / "aux"))
        summary = run(
            str(source), client=client, to="L1C", out=str(tmp_path), aux=str(session / "aux"), tile=tile,
            window=made.truth.window, keep=True,
        )  # fmt: skip
    (url,) = (store for key, store in summary.stores.items() if key.startswith("L1C"))
    for level, mine in (("L1B", summary.stores["L1B"]), ("L1C", url)):
        theirs = made.store(level)
        images = [p for p, a in zarr.open_group(theirs, mode="r").members(None) if isinstance(a, zarr.Array)]
        for path in (p for p in images if p.startswith("measurements")):
            found, expected = (np.asarray(open_array(store, path)[...], np.int64) for store in (mine, theirs))
            # the metadata have positions in whole millimetres, so that the tile may differ by its last digit
            differ = np.abs(found - expected)
            assert differ.max() <= (1 if level == "L1C" else 0), path
            assert np.count_nonzero(differ) < 0.02 * differ.size, path
    assert any(p.endswith(".SAFE") for p in summary.products)
