"""When a session was received: what the station's times and the frame counters tell of each packet."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from link_model import Link, write_session

from s2dask.errors import InputError
from s2dask.instrument.telemetry import MPDU_ZONE_BYTES
from s2dask.io.schema import downlink_path, packet_path
from s2dask.io.storage import open_array
from s2dask.l0.dsib import parse_dsib
from s2dask.l0.session import scan_session
from s2dask.l0.stage import decode_file
from s2dask.production.ingest import update_strips, write_packets

TIMES = {1: ("2020-08-16T13:20:00Z", "2020-08-16T13:24:10Z"), 2: ("2020-08-16T13:20:01.5Z", "2020-08-16T13:24:11Z")}
SINCE_2000 = 7_533 * 86_400 * 10**9


@pytest.fixture(scope="module")
def link() -> Link:
    """Two detectors on two channels, one band, two scenes."""
    return Link((6, 7), ("B01",), 2)


def _store(link: Link, folder: Path, times: dict[int, tuple[str, str]]) -> str:
    """Ingest a session whose channel 1 lacks 40 frames, and return its L0 store."""
    one = link.channel(1)
    paths = write_session(folder, {1: [one[:100], np.delete(one[100:], np.s_[50:90], 0)], 2: [link.channel(2)]})
    for channel, (start, stop) in times.items():
        (dsib,) = paths[channel][0].parent.glob("*DSIB.xml")
        told = f"<time_start>{start}</time_start><time_stop>{stop}</time_stop><data_size>"
        dsib.write_text(dsib.read_text("utf-8").replace("<data_size>", told), "utf-8")
    work, l0 = folder / "work", str(folder / "l0.zarr")
    work.mkdir()
    session = scan_session(str(folder))
    results = [decode_file(f, c.number, str(work)) for c in session.channels for f in c.files]
    (update,) = update_strips(results, session, str(folder), l0, str(work))
    for d, name, scene in update.granules:
        write_packets(l0, str(work), d, scene, [name])
    return l0


def _read(store: str, path: str) -> np.ndarray:
    return np.asarray(open_array(store, path)[...])


def test_times_and_counters_are_kept(link: Link, tmp_path: Path) -> None:
    store = _store(link, tmp_path, TIMES)
    attrs: Any = zarr.open_group(store, mode="r").attrs["s2dask"]
    count = {v: len(f) for c in (1, 2) for v, f in link.frames[c].items()}
    heard = attrs["downlink"]["virtual_channels"]
    facts = {v: (h["channel"], h["frames"], h["missing_frames"], h["gaps"]) for v, h in heard.items()}
    assert facts == {"4": (1, count[4] - 40, 40, 1), "20": (2, count[20], 0, 0), "2": (2, count[2], 0, 0)}
    assert (heard["4"]["start"], heard["4"]["stop"]) == ("2020-08-16T13:20:00.000000Z", "2020-08-16T13:24:10.000000Z")
    assert heard["20"]["stop"] == heard["2"]["start"]
    assert attrs["downlink"]["start"] == "2020-08-16T13:20:00.000000Z"
    begun = SINCE_2000 + (13 * 3600 + 20 * 60) * 10**9
    for d, virtual, start, length in ((7, 4, begun, 250.0), (6, 20, begun + 1_500_000_000, 249.5)):
        size = link.packets[d, "B01"].shape[1]
        frame = np.arange(48) * size // MPDU_ZONE_BYTES
        whole = count[4] if virtual == 4 else count[20] + count[2]
        status = _read(store, f"{packet_path(d, 'B01')}/status")
        expected = np.where(status == 1, 0, start + np.round(frame * (length * 1e9 / whole)).astype(np.int64))
        found = _read(store, downlink_path(d, "B01"))
        assert np.abs(found - expected).max() <= 1000
        frames = (np.arange(1, 49) * size - 1) // MPDU_ZONE_BYTES - frame + 1
        np.testing.assert_array_equal(_read(store, f"{packet_path(d, 'B01')}/frames"), np.where(status == 1, 0, frames))
    assert (_read(store, f"{packet_path(7, 'B01')}/status") == 1).any()


def test_without_the_stations_times_they_are_not_known(link: Link, tmp_path: Path) -> None:
    store = _store(link, tmp_path, {2: TIMES[2]})
    attrs: Any = zarr.open_group(store, mode="r").attrs["s2dask"]
    assert attrs["downlink"]["virtual_channels"]["4"]["start"] is None
    assert not _read(store, downlink_path(7, "B01")).any()
    assert _read(store, downlink_path(6, "B01")).all()
    assert (_read(store, f"{packet_path(6, 'B01')}/frames") >= 17).all()


@pytest.mark.parametrize(
    ("start", "stop", "what"),
    [("yesterday", "2020-08-16T13:24:10Z", "no date"), ("2020-08-16T13:24:10Z", "2020-08-16T13:20:10Z", "before it")],
)
def test_times_that_cannot_be_are_refused(start: str, stop: str, what: str) -> None:
    content = (
        "<DCSU_Session_Information_Block><session_id>S2A_20200816120219026904</session_id>"
        f"<time_start>{start}</time_start><time_stop>{stop}</time_stop><data_size>0</data_size><dsdb_list/>"
        "</DCSU_Session_Information_Block>"
    )
    with pytest.raises(InputError, match=what):
        parse_dsib(content.encode(), "DCS_01_S2A_20200816120219026904_ch1_DSIB.xml")
