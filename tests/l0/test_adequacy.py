"""Whether orbit and attitude suffice to locate images, and what becomes of a datatake whose do not."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from link_model import plain
from numpy.typing import NDArray
from typer.testing import CliRunner

from s2dask.cli import app
from s2dask.instrument.telemetry import APID_AOCS, APID_GPS, CADU_BYTES, VCID_SAD
from s2dask.io.schema import packet_path
from s2dask.io.storage import open_array
from s2dask.l0.ancillary import Samples, inadequacy, parse_samples
from s2dask.simulate.coding import ancillary_packets, append_crc
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

START = 1_281_614_557_000_000_000
STOP = START + 30_000_000_000
WITHHELD = 8


def _points(seconds: NDArray[np.int64] | None = None) -> Samples:
    time = START - 10_000_000_000 + (np.arange(51) if seconds is None else seconds) * 1_000_000_000
    return Samples(time, np.tile([7.16e6, 0.0, 0.0, 0.0, 0.0, 7.5e3], (time.size, 1)))


def _attitude() -> Samples:
    time = START - 10_000_000_000 + np.arange(501, dtype=np.int64) * 100_000_000
    return Samples(time, np.tile([0.5, -0.5, 0.5, 0.5], (time.size, 1)))


def _without(samples: Samples, chosen: slice) -> Samples:
    return Samples(np.delete(samples.time, chosen), np.delete(samples.values, chosen, 0))


@pytest.mark.row("IPF-04")
def test_good_data_are_adequate() -> None:
    assert inadequacy(_points(), _attitude(), START, STOP) == ()
    # five seconds, and four tenths of a second, are interpolated
    assert inadequacy(_without(_points(), slice(20, 24)), _without(_attitude(), slice(200, 203)), START, STOP) == ()
    # what is missing before the imaging is not needed
    assert inadequacy(_points(), _without(_attitude(), slice(5, 60)), START, STOP) == ()


@pytest.mark.row("IPF-04")
@pytest.mark.parametrize(
    ("points", "attitude", "reason"),
    [
        (slice(20, 25), slice(0), r"GPS: 1 gaps of up to 6\.000 s, 5 s can be interpolated"),
        (slice(0), slice(200, 204), r"attitude: 1 gaps of up to 0\.500 s, 0\.4 s can be interpolated"),
        (slice(0, 12), slice(0), r"GPS: the imaging is not covered: 2\.000 s at its start, 0\.000 s at its stop"),
        (slice(0), slice(395, None), r"attitude: the imaging is not covered: 0\.000 s at its start, 0\.600 s at its"),
        (slice(0, 46), slice(0), "GPS: 5 samples, 6 are needed"),
        (slice(0), slice(None), "attitude: 0 samples, 8 are needed"),
    ],
)
def test_missing_packets(points: slice, attitude: slice, reason: str) -> None:
    (found,) = inadequacy(_without(_points(), points), _without(_attitude(), attitude), START, STOP)
    assert re.match(reason, found)


@pytest.mark.row("IPF-04")
def test_values_that_cannot_be() -> None:
    points, attitude = _points(), _attitude()
    attitude.values[250] *= 1.01
    points.values[30:33] *= 0.5
    found = inadequacy(points, attitude, START, STOP)
    assert found == (
        "GPS: 3 samples with orbit radius 3.58e+06, expected 6.9e+06 to 7.4e+06",
        "attitude: 1 samples with quaternion norm 1.01, expected 0.999 to 1.001",
    )
    # far from the imaging they do no harm
    attitude, points = _attitude(), _points()
    attitude.values[3], points.values[50] = np.zeros(4), np.zeros(6)
    assert inadequacy(points, attitude, START, STOP) == ()


def _with_status(apid: int, sid: int, samples: Samples, status: NDArray[np.uint8]) -> list[bytes]:
    """Return ancillary packets that end with a byte of status."""
    plain_packets = ancillary_packets(apid, sid, samples.time, samples.values)
    packets = np.insert(plain_packets, plain_packets.shape[1] - 2, status, axis=1)
    packets[:, 4:6] = np.frombuffer((packets.shape[1] - 7).to_bytes(2, "big"), np.uint8)
    append_crc(packets)
    return [p.tobytes() for p in packets]


@pytest.mark.row("IPF-04")
def test_flags_of_receiver_and_attitude_control() -> None:
    in_step, mode = np.ones(51, np.uint8), np.full(501, 2, np.uint8)
    for lost, wrong, reasons in (
        (slice(0), slice(0), ()),
        (slice(20, 22), slice(0), ("GPS: 2 samples whose receiver has status 0 instead of 1",)),
        (slice(0), slice(120, 130), ("attitude: 10 samples in AOCS mode 3 instead of 2",)),
        (slice(48, None), slice(0, 50), ()),
    ):
        synchronised, modes = in_step.copy(), mode.copy()
        synchronised[lost], modes[wrong] = 0, 3
        points = parse_samples(_with_status(APID_GPS, 1, _points(), synchronised), APID_GPS)
        attitude = parse_samples(_with_status(APID_AOCS, 105, _attitude(), modes), APID_AOCS)
        np.testing.assert_array_equal(attitude.values, _attitude().values)
        assert inadequacy(points, attitude, START, STOP) == reasons


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate a session, and drop frames from the middle of its ancillary data."""
    options = SimulationOptions(detectors=(6,), bands=("B01", "B09"), window=600, scenes=2, seed=4, codec="raw12")
    folder = Path(simulate(str(tmp_path_factory.mktemp("degraded") / "session"), options))
    (path,) = folder.rglob("*_ch2_DSDB_*.raw")
    frames = np.fromfile(path, np.uint8).reshape(-1, CADU_BYTES)
    house = np.flatnonzero((plain(frames)[:, 5] & 63) == VCID_SAD)
    left = np.delete(frames, house[house.size // 4 : 3 * house.size // 4], 0)
    path.write_bytes(left.tobytes())
    (dsib,) = folder.rglob("*_ch2_DSIB.xml")
    dsib.write_text(re.sub(r"<data_size>\d+<", f"<data_size>{left.size}<", dsib.read_text("utf-8")), "utf-8")
    return folder


@pytest.mark.row("IPF-04")
def test_a_degraded_datatake_is_delivered_as_l0_and_says_why(session: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", str(session), "--to", "L2A", "--out", str(tmp_path), "--workers", "1"])
    assert result.exit_code == WITHHELD, result.output
    (store,) = tmp_path.rglob("*.zarr")
    assert "_MSI_L0__DS_" in store.name
    facts: Any = zarr.open_group(str(store), mode="r").attrs["s2dask"]
    reasons = facts["degraded"]
    assert any(re.match(r"attitude: \d+ gaps of up to \d+\.\d+ s, 0\.4 s can be interpolated", r) for r in reasons)
    assert f"degraded datatake, L0 only: {'; '.join(reasons)}" in result.output
    house = facts["downlink"]["virtual_channels"][str(VCID_SAD)]
    assert house["missing_frames"] > 0
    assert house["gaps"] == 1
    for name in ("B01", "B09"):
        assert not np.asarray(open_array(str(store), f"{packet_path(6, name)}/status")[...]).any()
        assert np.asarray(open_array(str(store), f"{packet_path(6, name)}/packets")[...]).any()
    assert json.loads(json.dumps(facts))["counters"]["lost_packets"] == 0
