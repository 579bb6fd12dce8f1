"""Frames of other versions and codes: TM, shortened codewords, an error control field; USLP is refused by name."""

from pathlib import Path

import numpy as np
import pytest
from frame_model import MARKER, Mission
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.l0.frame_format import find_format
from s2dask.l0.reed_solomon import ReedSolomon
from s2dask.production.frame_report import report_frames
from s2dask.simulate.coding import append_crc, primary_header, pseudo_noise

Bytes = NDArray[np.uint8]
ZONE = 400
PACKETS, SIZE = 100, 130


def _stream(apid: int = 77) -> Bytes:
    """Return packets of 130 bytes, end to end."""
    packets = np.random.default_rng(apid).integers(0, 256, (PACKETS, SIZE), np.uint8)
    packets[:, :6] = primary_header(apid, np.arange(PACKETS), SIZE)
    return packets.reshape(-1)


def _tm(*, ocf: bool = False, fecf: bool = False, secondary: int = 0, channel: int = 3, counter: int = 250) -> Bytes:
    """Return TM frames (frame, byte) of the packets, by section 4.1 of CCSDS 132.0-B, without marker."""
    stream = _stream()
    n = stream.size // ZONE
    head, number = np.zeros((n, 6), np.uint8), counter + np.arange(n)
    head[:, 0], head[:, 1] = 0x2A5 >> 4, (0x2A5 & 15) << 4 | channel << 1 | ocf
    head[:, 2], head[:, 3] = number + 9 & 255, number & 255
    pointer = -(np.arange(n) * ZONE) % SIZE
    head[:, 4], head[:, 5] = (0x80 if secondary else 0) | 0x18 | pointer >> 8, pointer & 255
    extra = np.zeros((n, secondary), np.uint8)
    if secondary:
        extra[:, 0] = secondary - 1
    parts = [head, extra, stream[: n * ZONE].reshape(n, ZONE), np.full((n, 4 * ocf + 2 * fecf), 0x11, np.uint8)]
    out = np.concatenate(parts, 1)
    if fecf:
        append_crc(out)
    return out


def _sent(frames: Bytes, *, randomised: bool = False) -> Bytes:
    veil = np.resize(pseudo_noise()[:255], frames.shape[1]) if randomised else np.zeros(frames.shape[1], np.uint8)
    return np.concatenate([np.tile(MARKER, (len(frames), 1)), frames ^ veil], 1)


def _shortened(bare: Bytes, parity: int, interleave: int) -> Bytes:
    """Return coded frames of which the zeros before the data are not sent."""
    fill = (255 - parity) * interleave - bare.shape[1]
    filled = np.concatenate([np.zeros((len(bare), fill), np.uint8), bare], 1)
    return Mission(parity, interleave, False, False).coded(filled)[:, 4 + fill :]


def _report(sent: Bytes, folder: Path) -> dict[str, object]:
    path = folder / "frames.dat"
    sent.tofile(path)
    return report_frames(path)


@pytest.mark.parametrize("randomised", [False, True])
@pytest.mark.parametrize(
    "extra", [{}, {"fecf": True}, {"ocf": True}, {"ocf": True, "fecf": True}, {"fecf": True, "secondary": 4}]
)
def test_uncoded_tm_frames(extra: dict[str, object], randomised: bool, tmp_path: Path) -> None:
    bare = _tm(**extra)  # type: ignore[arg-type]
    facts = _report(np.delete(_sent(bare, randomised=randomised), [10, 11], 0), tmp_path)
    assert (facts["frame_version"], facts["code"], facts["randomised"]) == ("TM", None, randomised)
    assert (facts["frame_length"], facts["spacecraft"]) == (4 + bare.shape[1], [0x2A5])
    assert facts["error_control_field"] == bool(extra.get("fecf"))
    (channel,) = facts["virtual_channels"].items()  # type: ignore[attr-defined]
    assert channel[0] == "3"
    # the counter goes from 255 to 0, and two frames are lost: 7 packets are in them, or begin or end there
    assert (channel[1]["first_counter"], channel[1]["last_counter"]) == (250, (250 + len(bare) - 1) % 256)
    assert channel[1]["gaps"] == [{"after": 3, "missing": 2}]
    whole = len(bare) * ZONE // SIZE
    touched = (12 * ZONE - 1) // SIZE - 10 * ZONE // SIZE + 1
    assert facts["packets"] == {"77": whole - touched}


def test_a_frame_with_a_wrong_checksum_is_lost(tmp_path: Path) -> None:
    sent = _sent(_tm(fecf=True))
    sent[5, 60] ^= 1
    facts = _report(sent, tmp_path)
    assert (facts["frames"], facts["uncorrectable_frames"]) == (len(sent), 1)
    assert facts["virtual_channels"]["3"]["missing_frames"] == 1  # type: ignore[index]


def test_a_damaged_marker_of_an_uncoded_frame_is_kept(tmp_path: Path) -> None:
    sent = _sent(_tm())
    sent[5, 1] ^= 5
    facts = _report(sent, tmp_path)
    assert (facts["frames"], facts["damaged_markers"], facts["skipped_bytes"]) == (len(sent), 1, 0)
    sent[6, :4] = 0  # no marker follows: nothing tells that the fifth is one
    assert _report(sent, tmp_path)["frames"] == len(sent) - 2


@pytest.mark.parametrize(("parity", "interleave"), [(32, 2), (16, 2), (32, 4)])
def test_shortened_codewords(parity: int, interleave: int, tmp_path: Path) -> None:
    bare = _tm(fecf=True)
    coded = _shortened(bare, parity, interleave)
    sent = _sent(coded, randomised=True)
    assert coded.shape[1] == bare.shape[1] + parity * interleave
    random = np.random.default_rng(1)
    for lane in range(interleave):  # as many as can be corrected
        at = 4 + lane + interleave * random.choice(coded.shape[1] // interleave, parity // 2, replace=False)
        sent[7, at] ^= random.integers(1, 256, parity // 2, np.uint8)
    found = find_format(sent.reshape(-1))
    assert found is not None
    assert found[0].code == ReedSolomon(parity, interleave)
    facts = _report(sent, tmp_path)
    assert facts["virtual_fill"] == 255 * interleave - coded.shape[1]
    assert (facts["frame_version"], facts["error_control_field"], facts["randomised"]) == ("TM", True, True)
    assert (facts["corrected_codewords"], facts["corrected_symbols"]) == (interleave, interleave * parity // 2)
    assert facts["uncorrectable_frames"] == 0
    assert facts["packets"] == {"77": len(bare) * ZONE // SIZE}


def test_whole_codewords_of_tm_frames(tmp_path: Path) -> None:
    bare = np.random.default_rng(0).integers(0, 256, (20, 223 * 5), np.uint8)
    bare[:, :6] = 0x01, 0x52, 0, 0, 0x1F, 0xFF
    bare[:, 3] = np.arange(20)
    facts = _report(Mission(32, 5, True, True).coded(bare), tmp_path)
    assert (facts["frame_version"], facts["code"], facts["basis"]) == ("TM", "RS(255,223) I=5", "dual")
    assert (facts["virtual_fill"], facts["frames"], facts["packets"]) == (0, 20, {})


@pytest.mark.parametrize("randomised", [False, True])
def test_uslp_is_refused_by_name(randomised: bool, tmp_path: Path) -> None:
    bare = np.random.default_rng(0).integers(0, 256, (20, 500), np.uint8)
    bare[:, 0], bare[:, 4], bare[:, 5] = 0xC2, 499 >> 8, 499 & 255
    with pytest.raises(InputError, match=r"frames\.dat: frames of version 4 \(USLP, CCSDS 732\.1-B\); .*TM"):
        _report(_sent(bare, randomised=randomised), tmp_path)
