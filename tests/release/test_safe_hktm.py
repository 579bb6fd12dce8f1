"""The product of housekeeping telemetry: frames as they were sent, annotations and manifest as in the real one."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from lxml import etree
from numpy.typing import NDArray
from PIL import Image

from s2dask.cluster.local import local_client
from s2dask.errors import InputMissing
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.l0.channel_file import decode_file
from s2dask.l0.packet_file import frame_notes, read_frame_notes, split_frames
from s2dask.l0.session import scan_session
from s2dask.production.chain import run
from s2dask.production.housekeeping import housekeeping, keep_housekeeping, take_housekeeping
from s2dask.release.names import DatastripName, HousekeepingName
from s2dask.release.safe_hktm import Housekeeping, write_hktm
from s2dask.simulate.coding import PacketMultiplexer, pseudo_noise
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import housekeeping_stream, plan_pass, simulate
from s2dask.simulate.telemetry import VCID_HOUSEKEEPING

Bytes = NDArray[np.uint8]
OPTIONS = SimulationOptions(detectors=(6,), bands=("B01", "B10"), window=600, scenes=1, seed=4, codec="raw12")
REAL = "S2A_OPER_PRD_HKTM___20191203T051837_20191203T051842_0001"
SAFE = "{http://www.esa.int/safe/sentinel-1.0}"
S2 = "{http://www.esa.int/safe/sentinel-1.0/sentinel-2}"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(simulate(str(tmp_path_factory.mktemp("hktm") / "session"), OPTIONS))


@pytest.fixture(scope="module")
def sent() -> Bytes:
    """Frames that the satellite sends, (frame, 2044), with markers and randomised."""
    out = PacketMultiplexer(VCID_HOUSEKEEPING, 2**24 - 5)
    return np.concatenate([out.push(*housekeeping_stream(plan_pass(OPTIONS).mission.platform)), out.flush()])


def _bare(frames: Bytes) -> Bytes:
    """Return transfer frames (frame, 1912) as the satellite made them."""
    return (frames[:, 4:] ^ pseudo_noise())[:, :1912]


def _product(frames: int = 3, gaps: tuple[tuple[int, int], ...] = ()) -> Housekeeping:
    first, last = datetime(2019, 12, 3, 5, 18, 37, 850_000, UTC), datetime(2019, 12, 3, 5, 18, 42, tzinfo=UTC)
    data = np.random.default_rng(0).integers(0, 256, (frames, 1912), np.uint8)
    notes = frame_notes(np.arange(frames) * 58 + 10**15, CADU_BYTES)
    return Housekeeping("S2A", "S2A_20191203", 23225, 59, last, first, last, data, notes, gaps, (2, 5))


def _shape(root: etree._Element) -> list[tuple[str, tuple[str, ...], str | None]]:
    """Return elements with the names of their attributes; identifiers and references with their values."""
    return [
        (str(e.tag), tuple(sorted(e.attrib)), e.get("ID") or e.get("dataObjectID") or e.get("repID"))
        for e in root.iter(etree.Element)
    ]


def test_name_is_that_of_the_real_product() -> None:
    name = HousekeepingName.parse(f"{REAL}.SAFE")
    assert (str(name), name.unit, name.number) == (REAL, "S2A", 1)
    assert str(_product().name) == REAL
    assert name.measurement == f"{REAL}-measurement.dat"


def test_manifest_is_built_like_the_real_one(reference_data: Path, tmp_path: Path) -> None:
    real = etree.parse(reference_data / "ops/hktm/manifest.safe").getroot()
    safe = write_hktm(_product(19116, ((160, 3), (181, 3))), tmp_path, reference_data / "ops/hktm/rep-info")
    ours = etree.parse(safe / "manifest.safe").getroot()
    assert _shape(ours) == _shape(real)
    assert ours.get("version") == real.get("version")
    for path in ("dataObject/byteStream", "dataObject/byteStream/fileLocation"):
        assert [dict(e.attrib) for e in ours.iter("dataObjectSection").__next__().findall(path)] == [
            dict(e.attrib) for e in real.iter("dataObjectSection").__next__().findall(path)
        ]
    for path in (f".//{SAFE}missingElements//", f".//{SAFE}acquisitionPeriod/../../..", f".//{SAFE}cycleNumber"):
        assert [dict(e.attrib) for e in ours.iterfind(path)] == [dict(e.attrib) for e in real.iterfind(path)]
    assert ours.findtext(f".//{SAFE}cycleNumber") == real.findtext(f".//{SAFE}cycleNumber")
    names = {p.relative_to(safe).as_posix() for p in safe.rglob("*") if p.is_file()}
    assert names == {
        "manifest.safe", f"{REAL}-measurement.dat", f"{REAL}-annotation.dat", "rep-info/s2-level-0.xsd",
        "rep-info/s2-level-0-annot.xsd",
    }  # fmt: skip
    for stream in ours.iter("byteStream"):
        path = safe / str(stream.find("fileLocation").get("href"))  # type: ignore[union-attr]
        assert path.stat().st_size == int(str(stream.get("size")))
        assert stream.findtext("checksum") == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_a_missing_schema_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"s2-level-0\.xsd: a schema is missing"):
        write_hktm(_product(), tmp_path, tmp_path)


@pytest.mark.row("IPF-02")
def test_frames_come_out_as_they_were_sent(session: Path, sent: Bytes, tmp_path: Path) -> None:
    """From the delivery of a whole run at L0: the telemetry is split off, and lies beside the strip."""
    with local_client(workers=1) as client:
        made = run(str(session), client=client, to="L0", out=str(tmp_path / "out"), formats=("safe",))
    (safe,) = (tmp_path / "out").rglob("*PRD_HKTM*.SAFE")
    name = HousekeepingName.parse(safe.name)
    assert str(safe) in made.products
    frames = split_frames(np.fromfile(safe / name.measurement, np.uint8), "x")
    assert len(frames) > 30
    np.testing.assert_array_equal(frames, _bare(sent))
    notes = read_frame_notes(np.fromfile(safe / name.annotation, np.uint8), "x")
    assert notes.downlink.size == len(frames)
    assert (np.diff(notes.downlink) > 0).all()
    assert (set(notes.status.tolist()), set(notes.channel.tolist())) == ({0x8000}, {1})
    manifest = etree.parse(safe / "manifest.safe")
    found = {k: manifest.findtext(f".//{S2}{k}") for k in ("numOfElements", "numOfMissingElements")}
    assert found == {"numOfElements": str(len(frames)), "numOfMissingElements": "0"}
    # the quick-look of each of its bands lies in the strip, listed
    (image,) = (tmp_path / "out").rglob("*_OPER_QLK_L0__DS_*.jp2")
    strip = image.parents[1]
    assert image.name == DatastripName.parse(strip.name).quicklook("B10")
    listed = etree.parse(strip / "manifest.safe")
    href = listed.find(".//dataObject[@ID='QLK_L0_Band10_Data']/byteStream/fileLocation").get("href")  # type: ignore[union-attr]
    assert href == f"./QI_DATA/{image.name}"
    with Image.open(image) as picture:
        cells = np.asarray(picture)
    assert cells.shape == (72, 80)
    assert (cells > 0).mean() > 0.5


@pytest.mark.row("IPF-02")
def test_losses_repeats_and_corrections_are_told(session: Path, sent: Bytes, tmp_path: Path) -> None:
    """Two files in the wrong order, a frame twice, two lost, one corrected, one with a bad marker."""
    state = scan_session(str(session))
    (path,) = (f for c in state.channels if c.number == 1 for f in c.files)
    cadus = np.fromfile(path, np.uint8).reshape(-1, CADU_BYTES)
    at = int(np.flatnonzero((cadus == sent[0]).all(1))[0])
    hurt = cadus[at : at + len(sent)].copy()
    hurt[7, 100] ^= 1
    hurt[9, 0] ^= 1
    late, early = tmp_path / "DSDB_00001.raw", tmp_path / "DSDB_00002.raw"
    np.concatenate([hurt[20:], cadus[:16]]).tofile(late)
    np.delete(hurt[:21], [3, 4], 0).tofile(early)
    results = [decode_file(str(p), 1, str(tmp_path)) for p in (late, early)]
    found = housekeeping(results[::-1], state)
    assert found is not None
    np.testing.assert_array_equal(found.frames, np.delete(_bare(sent), [3, 4], 0))
    assert (found.gaps, found.corrected) == (((3, 2),), (1, 1))
    status = read_frame_notes(found.notes, "x").status
    assert status[5] == status[0] == 0x8000
    assert status[7] == 0x8001
    # a session has one product of it
    keep_housekeeping(results, state, str(tmp_path))
    assert take_housekeeping(str(tmp_path)) is not None
    assert take_housekeeping(str(tmp_path)) is None


def test_without_housekeeping_there_is_no_product(session: Path, tmp_path: Path) -> None:
    state = scan_session(str(session))
    (path,) = (f for c in state.channels if c.number == 2 for f in c.files)
    results = [decode_file(str(path), 2, str(tmp_path))]
    assert housekeeping(results, state) is None
    keep_housekeeping(results, state, str(tmp_path))
    assert take_housekeeping(str(tmp_path)) is None
