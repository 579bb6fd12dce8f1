"""A campaign whose archive lies in a store on a server, and whose products go there: those that one on a disk makes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from s2dask.cluster.local import local_client
from s2dask.errors import ConfigurationError
from s2dask.io.storage import filesystem
from s2dask.production.campaign import Campaign
from s2dask.release.publish import verify
from s2dask.release.publish_objects import reap
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

PATIENCE = 900.0
"""[s]"""


@pytest.mark.slow
def test_from_a_store_to_a_store(bucket: str, tmp_path: Path) -> None:
    session, aux = tmp_path / "archive" / "session", tmp_path / "aux"
    bands = ("B01", "B02", "B03", "B04", "B11")
    simulate(str(session), SimulationOptions((6,), bands, 1, seed=3, window=1200, codec="raw12"))
    shutil.move(session / "aux", aux)
    x0, y0, *_ = Truth(f"{session}/truth.zarr").window
    fs, path = filesystem(f"{bucket}/archive")
    fs.put(f"{session}/", f"{path}/session/", recursive=True)
    asked: dict[str, Any] = {
        "tiles": ["28SCB"], "window": (x0, y0, 1200, 1200), "levels": ("L1C",), "aux": str(aux),
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="--work"):
        Campaign("there", source=f"{bucket}/archive", deliver=f"{bucket}/out", **asked)
    there = Campaign(
        "there", source=f"{bucket}/archive", deliver=f"{bucket}/out", work=str(tmp_path / "work"), **asked
    )  # fmt: skip
    here = Campaign("here", source=str(tmp_path / "archive"), deliver=str(tmp_path / "out"), **asked)
    planned = there.plan()
    assert (planned.datastrips, planned.tiles, planned.missing) == (1, 1, {})
    with local_client(1, dashboard=False) as client:
        for campaign in (here, there):
            assert campaign.submit(client).wait(PATIENCE).state == "SUCCESS"
    account = there.ledger()
    assert account.complete
    assert {key.partition("/")[2]: value for key, value in account.hashes().items()} == {
        key.partition("/")[2]: value for key, value in here.ledger().hashes().items()
    }
    fs.invalidate_cache()
    (manifest,) = fs.glob(f"{filesystem(bucket)[1]}/out/*/manifest.json")
    delivery = f"s3://{manifest.rpartition('/')[0]}"
    assert verify(delivery) == []
    assert reap(f"{bucket}/out", known=[delivery]).unknown == ()
    again = Campaign.open("there", str(tmp_path / "work" / ".campaigns.db"))
    with local_client(1, dashboard=False) as client:
        progress = again.resume(client).wait(PATIENCE)
    assert progress.state == "SUCCESS"
    assert not progress.units["L1C"].keys() - {"DONE"}
