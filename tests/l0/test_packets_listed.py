"""``s2dask l0 packets``: real files listed, a written band file with defects, errors in one line."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from s2dask.cli import app, main
from s2dask.instrument import LINE_PERIOD
from s2dask.l0.packet_file import DAY, annotations, file_bytes
from s2dask.simulate.coding import ancillary_packets, idle_packet, image_packets

START = 1_281_614_557_123_456_789


def _json(path: Path) -> dict:  # type: ignore[type-arg]
    result = CliRunner().invoke(app, ["l0", "packets", str(path), "--json"])
    assert result.exit_code == 0, result.output
    out: dict = json.loads(result.output)  # type: ignore[type-arg]
    return out


@pytest.mark.row("IPF-02")
def test_the_real_ancillary_file(reference_data: Path) -> None:
    (path,) = (reference_data / "ops/l0c/ANC_DATA").glob("*_AUX_S09123_*.bin")
    facts = _json(path)
    assert (facts["kind"], facts["annotated"], len(facts["packets"])) == ("ancillary", True, 15)
    first, last = facts["packets"][0], facts["packets"][-1]
    assert (first["apid"], first["sid"], first["sequence"], first["size"], first["crc"]) == (
        150,
        123,
        11_027,
        81,
        "good",
    )
    assert (first["time"], last["time"]) == ("2022-10-11T06:39:59.024763Z", "2022-10-11T06:42:19.024743Z")
    # the datastrip's metadata date their temperatures by these packets, in GPS time
    (metadata,) = (reference_data / "ops/l0c").glob("*_MTD_L0__DS_*.xml")
    thermal = metadata.read_text("utf-8").split("<Thermal_Data", 1)[1].split("</FPA>", 1)[0]
    dates = [np.datetime64(text) for text in re.findall("<GPS_TIME>([^<]*)<", thermal)]
    listed = [np.datetime64(row["time"][:-1]) + np.timedelta64(18, "s") for row in facts["packets"]]
    assert len(dates) > 10
    assert {int(date) for date in np.array(dates, "M8[us]").astype(np.int64)} <= {
        int(date) for date in np.array(listed, "M8[us]").astype(np.int64)
    }
    assert first["downlink"] == "2022-10-11T07:52:56.657099Z"
    totals = facts["totals"]
    assert (totals["bytes"], totals["crc_good"], totals["crc_bad"], totals["cut"]) == (1515, 15, 0, 0)
    assert totals["apids"]["150"] == {"kind": "ancillary", "packets": 15, "lost": 0, "degraded": 0, "repeated": 0}
    text = CliRunner().invoke(app, ["l0", "packets", str(path)]).output
    assert "15 ancillary packets, 1515 bytes: checksum good 15, bad 0, cut short 0" in text
    assert len(text.splitlines()) == 1 + 5 + 1 + 5 + 2


@pytest.mark.row("IPF-02")
def test_the_head_of_a_real_band_file(reference_data: Path) -> None:
    (path,) = (reference_data / "ops/l0_granule/IMG_DATA").glob("*_B11.bin")
    (row,) = _json(path)["packets"]
    assert row == {
        "number": 0, "apid": 347, "detector": 1, "band": "B11", "vcm": 1, "wicom": 2, "sequence": 0,
        "time": "2019-10-01T08:36:50.840101Z", "size": 13_076, "offset": 20, "crc": "cut",
        "downlink": "2019-10-01T10:03:24.725660Z", "virtual_channel": 20, "frames": 7, "bad_frames": 0,
    }  # fmt: skip


def test_defects_are_counted(tmp_path: Path) -> None:
    dates = START + np.round(np.arange(24) * 16e9 * 6 * LINE_PERIOD).astype(np.int64)
    packets = image_packets(np.zeros((24 * 16, 12), np.uint16), 336, dates)
    packets[7, 200] ^= 1
    keep = np.array([k for k in range(24) if k not in (3, 4, 15)])
    size = np.full(keep.size, packets.shape[1])
    notes = annotations(size, np.full(keep.size, 7213 * DAY), np.full(keep.size, 2), 20)
    path = tmp_path / "S2A_B01.bin"
    path.write_bytes(file_bytes(packets[keep].reshape(-1), np.arange(keep.size) * size[0], size, notes).tobytes())
    facts = _json(path)
    assert facts["totals"]["apids"]["336"] == {
        "kind": "image", "packets": 21, "lost": 3, "degraded": 1, "repeated": 0,
    }  # fmt: skip
    assert [row["crc"] for row in facts["packets"]] == ["bad" if k == 7 else "good" for k in keep]
    assert [row["sequence"] for row in facts["packets"]] == keep.tolist()


def test_bare_and_foreign_packets(tmp_path: Path) -> None:
    path = tmp_path / "bare.bin"
    path.write_bytes(ancillary_packets(182, 105, START + np.arange(3), np.ones((3, 4))).tobytes())
    facts = _json(path)
    assert (facts["annotated"], facts["kind"], facts["packets"][2]["sid"]) == (False, "ancillary", 105)
    path.write_bytes(idle_packet(40).tobytes() * 2)
    facts = _json(path)
    assert (facts["kind"], [row["time"] for row in facts["packets"]]) == ("idle", [None, None])
    assert facts["totals"]["apids"]["2047"] == {"kind": "idle", "packets": 2}


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, 4), (b"", 3), (b"no packets here", 3), (bytes(2000), 3), (b"\x1a\xcf\xfc\x1d" * 500, 3)],
)
def test_errors_are_one_line(
    tmp_path: Path,
    content: bytes | None,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "odd.bin"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["s2dask", "l0", "packets", str(path)])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr()
    assert (stop.value.code, told.out, told.err.count("\n")) == (code, "", 1)
    assert told.err.startswith("s2dask: ")
    assert "odd.bin: " in told.err
