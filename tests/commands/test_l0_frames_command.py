"""`s2dask l0 frames`: any CCSDS file of frames, machine-readable and for a person."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from s2dask.commands.level0 import app
from s2dask.errors import InputError, InputMissing
from s2dask.instrument.telemetry import CADU_BYTES, MPDU_ZONE_BYTES
from s2dask.simulate.coding import PacketMultiplexer, idle_frames, image_packets

RUN = CliRunner()


def facts_of(path: Path) -> dict[str, Any]:
    result = RUN.invoke(app, ["frames", str(path), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


@pytest.mark.row("IPF-01")
def test_real_frames_of_another_mission(reference_data: Path) -> None:
    facts = facts_of(reference_data / "ops" / "frames" / "snpp_7cadus_2vcids.dat")
    assert (facts["frames"], facts["frame_length"], facts["code"]) == (7, 1024, "RS(255,223) I=4")
    assert (facts["basis"], facts["randomised"], facts["spacecraft"]) == ("dual", True, [157])
    assert {key: c["frames"] for key, c in facts["virtual_channels"].items()} == {"6": 4, "16": 3}
    assert all(c["gaps"] == [] for c in facts["virtual_channels"].values())
    damage = "corrected_codewords", "uncorrectable_codewords", "slips", "inverted_frames", "skipped_bytes"
    assert [facts[key] for key in damage] == [0] * 5
    # by hand from the pointers of the four frames of channel 6 (2047, 188, 2047, 282): one packet begins and ends
    assert facts["virtual_channels"]["6"]["packets"] == sum(facts["packets"].values()) == 1


def _file(tmp_path: Path) -> tuple[Path, int]:
    """Write frames of two virtual channels with known damage; return the number of image packets that survive."""
    lines = np.zeros((2304, 1296), np.uint16)
    packets = image_packets(lines, 336, np.arange(144, dtype=np.int64) * 10**7)
    multiplexer = PacketMultiplexer(4, (1 << 24) - 100)
    starts = np.arange(144) * packets.shape[1]
    image = np.concatenate([multiplexer.push(packets.ravel(), starts), multiplexer.flush()])
    lost = np.arange(150, 157)
    ends = starts + packets.shape[1] - 1
    spans = [set(range(a // MPDU_ZONE_BYTES, b // MPDU_ZONE_BYTES + 1)) for a, b in zip(starts, ends, strict=True)]
    image[20, 4 : 4 + 8 * 16] ^= 0xFF  # sixteen symbols of each codeword: too many
    image[40, 4 : 4 + 8 * 3] ^= 0xFF  # three of each
    image[60:70] ^= 0xFF
    bits = np.unpackbits(np.concatenate([np.delete(image, lost, 0), idle_frames(5, 0, 63)]))
    bits = np.insert(bits, 90 * 8 * CADU_BYTES, [0, 1, 1])
    path = tmp_path / "frames.raw"
    path.write_bytes(np.packbits(bits).tobytes())
    return path, sum(not span & {20, *lost.tolist()} for span in spans)


def test_damage_is_counted(tmp_path: Path) -> None:
    path, packets = _file(tmp_path)
    facts = facts_of(path)
    assert facts["packets"] == {"336": packets}
    assert (facts["frame_length"], facts["code"], facts["basis"]) == (CADU_BYTES, "RS(255,239) I=8", "conventional")
    assert (facts["corrected_codewords"], facts["corrected_symbols"], facts["uncorrectable_codewords"]) == (8, 24, 8)
    assert (facts["slips"], facts["inverted_frames"], facts["uncorrectable_frames"]) == (1, 10, 1)
    gaps = facts["virtual_channels"]["4"]["gaps"]
    assert gaps == [{"after": (1 << 24) - 81, "missing": 1}, {"after": 49, "missing": 7}]
    assert facts["virtual_channels"]["63"]["frames"] == 5
    text = RUN.invoke(app, ["frames", str(path)], catch_exceptions=False).stdout
    assert "virtual channel 4: 7 frames missing after counter 49" in text
    assert "RS(255,239) I=8" in text


@pytest.mark.parametrize("data", [b"", b"nothing", np.random.default_rng(4).bytes(30_000)])
def test_no_frames_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.dat"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"file\.dat: no frame of a known format; ") as error:
        facts_of(path)
    assert "\n" not in str(error.value)


def test_no_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="no such file"):
        facts_of(tmp_path / "nothing.dat")
    with pytest.raises(InputError, match="not a file"):
        facts_of(tmp_path)
