"""The L0 SAFE of a store made by hand: three scenes, two detectors, packets lost and degraded."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from lxml import etree

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import LINE_PERIOD, SCENE_SECONDS, band
from s2dask.instrument.telemetry import apid
from s2dask.io import schema
from s2dask.io.safe_l0 import import_l0, read_datastrip, read_granule
from s2dask.io.template import create
from s2dask.io.writer import write_whole
from s2dask.qc.engine import check_product
from s2dask.release.name_form import parse_iso
from s2dask.release.names import GranuleName
from s2dask.release.safe_l0 import write_safe_l0

DETECTORS, NAMES, SCENES = (6, 7), ("B09", "B12"), 3
START = 1_281_614_561_083_370_687
RECEPTION = (7_533 * 86_400 + 36_201) * 10**9 + 645_123_000
"""2020-08-16T10:03:21.645123, since 2000 [ns]."""
DATATION = {
    "used_model": "CORRECTED", "gps_sync": False, "residual_rms": 3210.0, "rejected": 2,
    "residuals": [
        {"detector": d, "band": name, "rms": 3000.0 + d, "max": 9000.0, "rejected": 1}
        for d in (6, 7) for name in ("B09", "B12")
    ],
}  # fmt: skip
DEGRADED_SAD = "GPS: 1 gaps of up to 6.000 s, 5 s can be interpolated"
RECEIVED = {
    "channel": 2, "frames": 4000, "missing_frames": 12, "gaps": 2, "first_counter": 5,
    "start": "2020-08-16T10:03:21.645000Z", "stop": "2020-08-16T10:03:25.000000Z",
}  # fmt: skip
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _packets(detector: int, name: str, size: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return packets with right heads and any content, and their dates."""
    b = band(name)
    n = b.packets_per_scene * SCENES
    out = random.integers(0, 256, (n, size)).astype(np.uint8)
    count = np.arange(n) % b.packets_per_scene
    time = START + 1_000_000 * (b.index + detector) + np.round(
        np.arange(n) * 16e9 * LINE_PERIOD * b.line_factor
    ).astype(np.int64)  # fmt: skip
    ticks = (time // 10**9 << 24) + np.round((time % 10**9) * (2**24 / 1e9)).astype(np.int64)
    head = 0x0800 | apid(detector, b.index)
    for k, values in ((0, head >> 8), (1, head & 255), (2, 0xC0 | count >> 8), (3, count & 255)):
        out[:, k] = values
    out[:, 4], out[:, 5] = (size - 7) >> 8, (size - 7) & 255
    out[:, 6:13] = ticks.astype(">i8").view(np.uint8).reshape(n, 8)[:, 1:]
    return out, (ticks >> 24) * 10**9 + np.round((ticks & 0xFFFFFF) * (1e9 / 2**24)).astype(np.int64)


def _location() -> dict[str, Any]:
    ring = [[32.8, -17.3, 40.0], [32.6, -17.3, 40.0], [32.6, -17.0, 40.0], [32.8, -17.0, 40.0], [32.8, -17.3, 40.0]]
    angles = {"incidence": [2.0, 100.0], "sun": [25.0, 135.0]}
    place = {"orientation": 193.0, "pixel": [10.5, 9.9], **angles}
    return {
        "granules": [
            {"detector": d, "scene": s, "footprint": ring, "centre": [32.7, -17.1, 40.0], "cloud": 10.0 * s, **angles}
            for d in DETECTORS for s in range(SCENES)
        ],
        "footprint": ring, "direction": "DESCENDING", "reference_band": "B09",
        "headers": [{"gps": START, "line": 36, "attitude": [0, 0, 0], "begin": place, "center": place, "end": place}],
        "iers": {"file": "bulletina", "ut1_utc": -0.2, "pole": [0.17, 0.4]}, "dem": "None",
        "gipps": ["S2A_OPER_GIP_BLINDP_MPC__20200801T000000_V20150622T000000_21000101T000000_B00"],
        "measured": "2020-08-01T00:00:00",
    }  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url, random = str(tmp_path_factory.mktemp("strip") / "l0.zarr"), np.random.default_rng(4)
    first = [[START + 1_000_000 * (band(n).index + d) for n in NAMES] for d in DETECTORS]
    attrs = {
        "level": "L0", "unit": "S2A", "absolute_orbit": 26904, "relative_orbit": 23, "baseline": "05.11",
        "datatake_id": "GS2A_20200816T120223_026904_N05.11", "sensing_start": "2020-08-16T12:02:23.098Z",
        "sensing_start_gps": first[0][0], "sensing_stop_gps": first[1][1] + round(SCENES * SCENE_SECONDS * 1e9),
        "line_period": LINE_PERIOD, "detectors": list(DETECTORS), "bands": list(NAMES), "scenes": SCENES,
        "codec": "ccsds122", "location": _location(), "datation": DATATION, "degraded": [DEGRADED_SAD],
        "downlink": {"virtual_channels": {"20": RECEIVED}},
    }  # fmt: skip
    create(url, schema.l0(DETECTORS, NAMES, SCENES, "ccsds122", 12, 30), {"s2dask": attrs})
    seconds = START - 3_000_000_000 + np.arange(12) * 1_000_000_000
    write_whole(url, "conditions/ephemeris/gps_time", seconds)
    write_whole(url, "conditions/ephemeris/position", random.integers(-7 * 10**9, 7 * 10**9, (12, 3)) / 1e3)
    write_whole(url, "conditions/ephemeris/velocity", random.integers(-(10**7), 10**7, (12, 3)) / 1e3)
    write_whole(url, "conditions/attitude/gps_time", seconds[0] + np.arange(30) * 500_000_000)
    write_whole(url, "conditions/attitude/quaternion", random.uniform(-1, 1, (30, 4)))
    write_whole(url, "conditions/datation/detector", DETECTORS)
    write_whole(url, "conditions/datation/band", [band(n).index for n in NAMES])
    write_whole(url, "conditions/datation/first_line_date", first)
    for d in DETECTORS:
        for name in NAMES:
            where, per = schema.packet_path(d, name), band(name).packets_per_scene
            packets, time = _packets(d, name, schema.packet_bytes(band(name), "ccsds122"), random)
            status = np.zeros(time.size, np.uint8)
            if (d, name) == (7, "B12"):
                status[per + 3 : per + 6], status[2 * per] = 1, 2
                packets[status == 1] = 0
                lost = np.flatnonzero(status == 1)
                step = 16 * SCENE_SECONDS / 2304 * band(name).line_factor * 1e9
                time[lost] = first[1][1] + np.round(lost * step).astype(np.int64)
            write_whole(url, f"{where}/packets", packets)
            write_whole(url, f"{where}/sequence_count", np.arange(time.size) % per)
            write_whole(url, f"{where}/packet_time", time)
            write_whole(url, f"{where}/status", status)
            came = status != 1
            write_whole(url, f"{where}/frames", np.where(came, 7 + np.arange(time.size) % 2, 0))
            write_whole(
                url, schema.downlink_path(d, name), np.where(came, RECEPTION + 250_000 * np.arange(time.size), 0)
            )
    return url


@pytest.fixture(scope="module")
def safe(store: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_safe_l0(store, tmp_path_factory.mktemp("safe"), CREATED)


def test_granules_step_by_a_scene(safe: list[Path]) -> None:
    facts = read_datastrip(safe[0])
    assert len(safe) == 1 + len(DETECTORS) * SCENES
    for d in DETECTORS:
        assert [position for _, position in facts.granules[d]] == [1, 2305, 4609]
        times = [GranuleName.parse(name).sensing_time for name, _ in facts.granules[d]]
        assert np.allclose(np.diff(times) / timedelta(seconds=1), SCENE_SECONDS, atol=1.0)
    assert {name for granules in facts.granules.values() for name, _ in granules} == {p.name for p in safe[1:]}
    # as in real products: the stop is the start of the last scene
    seconds = (parse_iso(facts.stop) - parse_iso(facts.start)).total_seconds()
    assert seconds == pytest.approx(2 * SCENE_SECONDS, abs=2e-3)


def test_lost_and_degraded_packets_are_counted_where_they_are(safe: list[Path]) -> None:
    facts = read_datastrip(safe[0])
    expected = 2 * 3 * (24 + 72)
    assert facts.degradation == (round(100 * 4 / expected, 6), 3, 0, 1)
    assert facts.packets[7, band("B12").index] == (1, 1, 3 * 72 - 3)
    shares = {}
    for folder in safe[1:]:
        granule = read_granule(folder)
        shares[granule.facts.detector, granule.scene] = granule.facts.degraded_percentage
        assert granule.facts.cloud_percentage == 10.0 * granule.scene
        worst = (folder / "QI_DATA").glob("*SENSOR_QUALITY_report.xml")
        status = etree.parse(next(worst)).getroot().find(".//{*}report").get("globalStatus")  # type: ignore[union-attr]
        assert (status == "FAILED") == (shares[granule.facts.detector, granule.scene] > 0)
    assert {k: v for k, v in shares.items() if v} == {(7, 1): round(300 / 96, 6), (7, 2): round(100 / 96, 6)}


@pytest.mark.row("OPS-35")
def test_reports_say_what_a_check_of_the_delivered_folders_finds(safe: list[Path]) -> None:
    for folder in safe:
        (made,) = check_product(str(folder))
        found = [p for p in (folder / "QI_DATA").glob("*_report.xml") if "SENSOR_QUALITY" not in p.name]
        told = {e.get("id"): e.get("status") for p in found for e in etree.parse(p).getroot().iter("{*}inspection")}
        # of the sensor the reports know more than metadata tell
        assert told == {r.id: r.status for r in made.results if r.checklist != "SENSOR_QUALITY"}, folder.name


def _read(url: str, path: str) -> np.ndarray:
    return np.asarray(zarr.open_array(url, path=path, mode="r")[...])


def test_annotations_tell_when_and_in_how_many_frames_packets_came(safe: list[Path]) -> None:
    granule = read_granule(next(p for p in safe if "_D07_" in p.name))
    records = granule.bands["B12"]
    heads = records.annotation
    day, milli, micro = 7_533, 36_201_645, 123
    assert heads[0].tobytes()[:10] == bytes(2) + day.to_bytes(2, "big") + milli.to_bytes(4, "big") + micro.to_bytes(
        2, "big"
    )
    np.testing.assert_array_equal(records.downlink, RECEPTION + 250_000 * np.arange(72))
    np.testing.assert_array_equal(records.frames, 7 + np.arange(72) % 2)
    assert set(heads[:, 17].tolist()) == {0x80 | 4}


@pytest.mark.row("IPF-03")
def test_the_residuals_of_a_regression_are_in_the_metadata(safe: list[Path]) -> None:
    facts = read_datastrip(safe[0])
    assert (facts.model, facts.gps_sync, facts.residual) == ("CORRECTED", False, 3.21e-6)
    assert facts.theoretical_period == round(1e3 * LINE_PERIOD, 9)
    assert facts.residuals == {
        f"DATA_B{band(n).index:02d}_{d:02d}_20200816T120223": round(3e-6 + 1e-9 * d, 12) for d in (6, 7) for n in NAMES
    }


@pytest.mark.row("IPF-04")
def test_the_report_of_the_sensor_tells_what_is_degraded(safe: list[Path]) -> None:
    (path,) = (safe[0] / "QI_DATA").glob("*SENSOR_QUALITY_report.xml")
    found = {
        str(check.find("{*}inspection").get("id")): (  # type: ignore[union-attr]
            check.find("{*}inspection").get("status"), check.findtext("{*}message"),  # type: ignore[union-attr]
        )
        for check in etree.parse(path).getroot().iter("{*}check")
    }  # fmt: skip
    assert found["Degraded_SAD"] == ("FAILED", DEGRADED_SAD)
    assert found["Datation_Model_GPS_SYNC"] == ("FAILED", "GPS is not synchronized.")
    assert found["Datation_Model_RMOY"] == ("PASSED", "RMOY is 3.210e-06 s")
    assert found["Downlink_VC20"] == ("FAILED", "4000 frames came, 12 are missing in 2 gaps")


def test_everything_comes_back(store: str, safe: list[Path], tmp_path: Path) -> None:
    url = str(tmp_path / "back.zarr")
    assert import_l0(safe[0], safe[1:], url) == ()
    for path, array in zarr.open_group(store, mode="r").members(max_depth=None):
        if isinstance(array, zarr.Array):
            expected, found = np.asarray(array[...]), _read(url, path)
            if path.startswith(("conditions/ephemeris/p", "conditions/ephemeris/v")):
                np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
            else:
                np.testing.assert_array_equal(found, expected, err_msg=path)


def test_a_granule_that_is_not_given_is_lost(safe: list[Path], tmp_path: Path) -> None:
    url = str(tmp_path / "part.zarr")
    assert import_l0(safe[0], safe[1:-1], url) == (f"{safe[-1].name} is missing",)
    status = _read(url, f"{schema.packet_path(7, 'B12')}/status")
    assert (status[144:] == 1).all()
    assert not (status[:72]).any()


def test_everything_is_valid(safe: list[Path], reference_data: Path) -> None:
    folder = reference_data / "radiometry/xsd/psd148_s2tbx"
    names = {"DS": "S2_PDI_Level-0_Datastrip_Metadata", "GR": "S2_PDI_Level-0_Granule_Metadata"}
    for product in safe:
        for path in product.rglob("*.xml"):
            kind = "OLQC_Report" if path.parent.name == "QI_DATA" else names.get(path.name[17:19], path.stem)
            etree.XMLSchema(etree.parse(folder / f"{kind}.xsd")).assertValid(etree.parse(path))


def test_schemas_go_into_rep_info(store: str, reference_data: Path, tmp_path: Path) -> None:
    made = write_safe_l0(store, tmp_path, CREATED, reference_data / "radiometry/xsd/psd148_s2tbx")
    hrefs = {e.get("href") for e in etree.parse(made[0] / "manifest.safe").iter("metadataReference")}
    assert hrefs == {f"rep_info/{p.name}" for p in (made[0] / "rep_info").iterdir()}
    with pytest.raises(InputMissing, match="a schema is missing"):
        write_safe_l0(store, tmp_path / "none", CREATED, tmp_path)


def test_a_granule_of_another_datastrip_is_refused(safe: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "S2A_other"
    other.mkdir()
    for path in safe[1].rglob("*"):
        target = other / path.relative_to(safe[1])
        if path.is_dir():
            target.mkdir()
        else:
            target.write_bytes(path.read_bytes().replace(b"D06_N05.11</GRANULE_ID>", b"D08_N05.11</GRANULE_ID>"))
    sheet = next(other.glob("*MTD*.xml"))
    assert "D08_N05.11" in sheet.read_text()
    with pytest.raises(InputError, match="of another datastrip"):
        import_l0(safe[0], [other], str(tmp_path / "x.zarr"))
