"""The quick-look and the L0 SAFE of a small simulated session, held to the simulator's truth."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from lxml import etree
from PIL import Image
from pyproj import Transformer

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.instrument import BANDS, band
from s2dask.instrument.telemetry import ANNOTATION_BYTES
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_l0 import import_l0, manifest_sizes, read_datastrip, read_granule, read_records
from s2dask.io.schema import packet_path
from s2dask.l0.codec import codec
from s2dask.l0.quicklook import (
    CIRRUS,
    CLEAR,
    NO_DATA,
    OPAQUE,
    average_lines,
    average_packed,
    cloud_mask,
    cloud_percentage,
    dark_level,
    sample,
)
from s2dask.l0.session import scan_session
from s2dask.l0.stage import decode_file
from s2dask.production import ingest
from s2dask.production.quicklook import Quicklook, quicklook
from s2dask.release.datastrip import release_datastrip
from s2dask.release.name_form import parse_iso
from s2dask.release.safe_l0 import write_safe_l0
from s2dask.release.safe_manifest import checksum
from s2dask.simulate.coding import image_packets
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

QL = ("B02", "B03", "B04", "B10", "B11")
METRES = 111_195.0


@dataclass(frozen=True)
class Session:
    """A session decoded to L0 and located."""

    folder: Path
    l0: str
    made: Quicklook

    @property
    def truth(self) -> dict[str, Any]:
        """What the simulator states."""
        return dict(zarr.open_group(str(self.folder / "session/truth.zarr"), mode="r").attrs)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One detector and scene with the bands of the quick-look; three frames are lost."""
    folder = tmp_path_factory.mktemp("quicklook")
    options = SimulationOptions(
        detectors=(6,), bands=QL, window=6000, scenes=1, cloud_cover=0.3, lose_frames=3, seed=2
    )  # fmt: skip
    simulate(str(folder / "session"), options)
    found = scan_session(str(folder / "session"))
    work, l0 = folder / "work", str(folder / "l0.zarr")
    work.mkdir()
    results = [decode_file(f, c.number, str(work)) for c in found.channels for f in c.files]
    ingest.update_strips(results, found, str(folder / "session/aux"), l0, str(work))
    ingest.write_packets(l0, str(work), 6, 0, QL)
    return Session(folder, l0, quicklook(l0, None, folder / "quicklook.png"))


@pytest.fixture(scope="module")
def safe(session: Session, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Its SAFE: the datastrip, then the granule."""
    return write_safe_l0(session.l0, tmp_path_factory.mktemp("safe"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def _read(url: str, path: str) -> np.ndarray:
    return np.asarray(zarr.open_array(url, path=path, mode="r")[...])


def _truth(session: Session, path: str) -> np.ndarray:
    return _read(str(session.folder / "session/truth.zarr"), path)


def _nodes(session: Session, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return line, column and the polynomials in height of the traced rays of a band."""
    where = f"rays/d06/{name.lower()}"
    line, column = np.meshgrid(*(_truth(session, f"{where}/{key}") for key in ("line", "column")), indexing="ij")
    return line, column, _truth(session, f"{where}/path")


def _at(path: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = (sum(path[3 * i + k] * height**k for k in range(3)) for i in range(2))
    return np.asarray(lon), np.asarray(lat)


def _distance(lon: np.ndarray, lat: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return METRES * np.hypot((x - lon) * np.cos(np.radians(lat)), y - lat)


@pytest.mark.row("IPF-05")
def test_footprints_lie_where_traced_rays_meet_the_ground(session: Session) -> None:
    line, column, path = _nodes(session, "B04")
    model, terrain = session.made.setting.model, session.made.setting.terrain
    lon, lat, height = model.direct("B04", 6, line, column, terrain)
    assert _distance(lon, lat, *_at(path, height)).max() < 2.0
    # corners of the first line, half a pixel beside the first node
    (granule,) = session.made.location["granules"]
    corners = np.array(granule["footprint"])
    for row, col in ((0, 0), (0, -1)):
        x, y = _at(path[:, row, col], corners[:, 2])
        assert _distance(corners[:, 1], corners[:, 0], x, y).min() < 20.0
    assert (corners[0] == corners[-1]).all()
    assert len(corners) == 5


@pytest.mark.row("IPF-06")
@pytest.mark.parametrize("name", QL)
def test_bands_are_seen_at_the_same_place(session: Session, name: str) -> None:
    """Where the model looks for a ground point in a band is where that band's traced ray comes from."""
    line, column, path = _nodes(session, name)
    model, terrain = session.made.setting.model, session.made.setting.terrain
    height = np.zeros_like(line)
    for _ in range(3):
        height = terrain.height(*_at(path, height))
    found, place = model.inverse(name, 6, *_at(path, height), height)
    size = 10.0 * band(name).line_factor, float(band(name).resolution)
    off = np.hypot((found - line) * size[0], (place - column) * size[1])
    assert np.nanmax(off) < 150.0
    assert np.isfinite(off).mean() > 0.8


@pytest.mark.row("IPF-06")
@pytest.mark.parametrize("name", ["B02", "B03", "B04"])
def test_cells_show_the_scene_of_the_simulator_and_at_its_place(session: Session, name: str) -> None:
    """Of the truth shifted by up to 180 m, the one that fits best is shifted by less than 150 m."""
    made, truth = session.made, _truth(session, f"toa/{name.lower()}")[0]
    x0, y0, *_ = session.truth["window"]
    to_map = Transformer.from_crs("EPSG:4326", session.truth["crs"], always_xy=True)
    x, y = to_map.transform(made.lon[0], made.lat[0])
    row, column = ((y0 - y) // 60).astype(int), ((x - x0) // 60).astype(int)
    n = truth.shape[0]
    seen = made.bands[name][0]
    inside = (row >= 6) & (row < n - 6) & (column >= 6) & (column < n - 6) & np.isfinite(seen)
    assert inside.sum() > 50
    fits = {}
    for down in range(-3, 4):
        for right in range(-3, 4):
            boxes = [
                truth[r + down - 2 : r + down + 3, c + right - 2 : c + right + 3].mean()
                for r, c in zip(row[inside], column[inside], strict=True)
            ]
            fits[down, right] = float(np.corrcoef(boxes, seen[inside])[0, 1])
    best = max(fits, key=fits.__getitem__)
    assert 60.0 * np.hypot(*best) < 150.0
    assert fits[0, 0] > 0.97


@pytest.mark.row("IPF-07")
def test_the_cloud_mask_finds_the_clouds_of_the_simulator(session: Session) -> None:
    made, cover = session.made, _truth(session, "cloud/b02")[0]
    x0, y0, *_ = session.truth["window"]
    to_map = Transformer.from_crs("EPSG:4326", session.truth["crs"], always_xy=True)
    x, y = to_map.transform(made.lon[0], made.lat[0])
    row, column = ((y0 - y) // 60).astype(int), ((x - x0) // 60).astype(int)
    n = cover.shape[0]
    inside = (row >= 3) & (row < n - 3) & (column >= 3) & (column < n - 3) & (made.mask[0] != NO_DATA)
    places = zip(row[inside], column[inside], strict=True)
    share = np.array([cover[r - 2 : r + 3, c - 2 : c + 3].mean() for r, c in places])
    found = made.mask[0][inside] != CLEAR
    certain = (share < 0.1) | (share > 0.9)
    assert (found == (share > 0.5))[certain].mean() > 0.97
    assert found.mean() == pytest.approx(share.mean(), abs=0.06)
    (granule,) = made.location["granules"]
    assert granule["cloud"] == pytest.approx(cloud_percentage(made.granule(0, 0)), abs=1e-6)


def test_the_picture_is_in_ground_geometry(session: Session) -> None:
    with Image.open(session.folder / "quicklook.png") as image:
        shown = np.asarray(image)
    # 26 km by 21 km and more of 320 m: as high as wide, within the tilt of the track and the bands that begin late
    assert 60 < shown.shape[0] < 110
    assert 85 < shown.shape[1] < 130
    assert 0.4 < shown.any(-1).mean() < 0.95


def test_the_coarse_level_follows_the_mean_of_decoded_lines(session: Session) -> None:
    packets = _read(session.l0, f"{packet_path(6, 'B11')}/packets")[:6]
    status = np.array([0, 0, 1, 0, 0, 0], np.uint8)
    cells, bad = codec("ccsds122").decode_coarse(packets, status)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(bad, np.repeat(status == 1, 2))
    mean = average_lines(*codec("ccsds122").decode(packets, status))
    # a low-pass is no mean where the land is bright beside the sea
    assert np.nanmedian(np.abs(cells - mean)[~bad]) < 8.0
    assert np.isnan(mean[bad]).all()


def test_cells_of_packed_lines_are_those_of_decoded_lines() -> None:
    lines = np.random.default_rng(4).integers(0, 4096, (96, 1296), np.uint16)
    packets = image_packets(lines, 336, np.zeros(6, np.int64))
    status = np.array([0, 0, 1, 0, 2, 0], np.uint8)
    packed = average_packed(packets, status, 114, 1296)
    np.testing.assert_allclose(packed, average_lines(*codec("raw12").decode(packets, status)), rtol=1e-6)
    assert np.isnan(packed[4:6]).all()
    assert np.isfinite(packed).sum() == 10 * 162
    whole = [average_packed(packets[k : k + 2], status[k : k + 2], 114, 1296) for k in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(whole), packed)


@pytest.mark.parametrize("name", ["B02", "B10", "B11"])
def test_a_slope_is_sampled_where_it_is(name: str) -> None:
    b = band(name)
    lines, columns = np.meshgrid(np.arange(b.lines_per_scene), np.arange(b.raw_columns), indexing="ij")
    image = (lines + columns // 2).astype(np.uint16)
    cells = average_lines(image, np.zeros(b.lines_per_scene, bool))
    line, column = np.array([200.25, 100.0]), np.array([b.columns * 0.5, b.columns * 0.3])
    raw = column * b.binning + b.blind + 0.5 * (b.binning - 1)
    np.testing.assert_allclose(sample(cells, line, column, b, 320), line + 0.5 * raw - 0.25, atol=0.1)
    outside = sample(cells, np.array([-1.0, 10.0, np.nan]), np.array([10.0, b.columns, 1.0]), b, 320)
    assert np.isnan(outside).all()
    assert dark_level(np.full((4, 10), 7.0, np.float32)) == 7.0


def test_rules_of_the_cloud_mask() -> None:
    nan = np.nan
    values = {
        "B02": np.array([0.1, 0.5, 0.5, 0.1, nan, 0.5], np.float32),
        "B11": np.array([0.1, 0.4, 0.05, 0.1, nan, nan], np.float32),
        "B10": np.array([0.001, 0.001, 0.001, 0.02, nan, nan], np.float32),
    }
    assert cloud_mask(values).tolist() == [CLEAR, OPAQUE, CLEAR, CIRRUS, NO_DATA, OPAQUE]
    assert cloud_percentage(cloud_mask(values)) == 60.0
    assert cloud_percentage(np.full(3, NO_DATA, np.uint8)) == 0.0


@pytest.mark.row("IPF-08")
def test_every_file_is_valid_by_the_schemas_of_the_mission(safe: list[Path], reference_data: Path) -> None:
    folder = reference_data / "radiometry/xsd/psd148_s2tbx"
    names = {"DS": "S2_PDI_Level-0_Datastrip_Metadata", "GR": "S2_PDI_Level-0_Granule_Metadata"}
    seen = 0
    for product in safe:
        for path in sorted(product.rglob("*.xml")):
            kind = "OLQC_Report" if path.parent.name == "QI_DATA" else names.get(path.name[17:19], path.stem)
            etree.XMLSchema(etree.parse(folder / f"{kind}.xsd")).assertValid(etree.parse(path))
            seen += 1
    assert seen == 2 * 6


def _paths(node: etree._Element, above: str = "") -> set[str]:
    where = f"{above}/{etree.QName(node).localname}"
    return {where}.union(*(_paths(child, where) for child in node.iterchildren("*")))


def test_manifests_have_the_elements_of_real_ones(safe: list[Path], reference_data: Path) -> None:
    """No schema of the manifest is public: each path of ours must be in a real one."""
    real = [reference_data / "ops" / name / "manifest.safe" for name in ("l0c", "l0_ds_sgs", "l0_granule")]
    known = set().union(*(_paths(etree.parse(path).getroot()) for path in real))
    for product in safe:
        ours = _paths(etree.parse(product / "manifest.safe").getroot())
        assert not ours - known
        assert {path.rsplit("/", 1)[-1] for path in known - ours} <= {"resource"}


def test_sizes_and_checksums_are_true(safe: list[Path]) -> None:
    for product in safe:
        sizes = manifest_sizes(SafeArchive.open(product))
        assert all((product / name).stat().st_size == size for name, size in sizes.items())
        root = etree.parse(product / "manifest.safe").getroot()
        for stream in root.iter("byteStream"):
            path = product / str(stream.find("fileLocation").get("href"))  # type: ignore[union-attr]
            assert stream.findtext("checksum") == checksum(path, "sha3_256").upper()
        inventory = etree.parse(product / "Inventory_Metadata.xml").getroot()
        every = sum(p.stat().st_size for p in product.rglob("*") if p.name != "Inventory_Metadata.xml" and p.is_file())
        assert int(inventory.findtext("{*}Data_Size", "0")) == every


def test_the_facts_of_the_granule_are_those_of_its_packets(session: Session, safe: list[Path]) -> None:
    datastrip, granule = read_datastrip(safe[0]), read_granule(safe[1])
    lost = {n: int((_read(session.l0, f"{packet_path(6, n)}/status") == 1).sum()) for n in QL}
    assert sum(lost.values()) > 0
    assert datastrip.degradation[1:] == (sum(lost.values()), 0, 0)
    for name, b in BANDS.items():
        expected = b.packets_per_scene - lost[name] if name in QL else 0
        assert granule.facts.packets[b.index] == (1, 1, expected)
    for name, records in granule.bands.items():
        size = (safe[1] / "IMG_DATA" / f"{safe[1].name[:-7]}_{name}.bin").stat().st_size
        assert size == records.count.size * (ANNOTATION_BYTES + records.packets.shape[1])
    assert granule.facts.position == 1
    assert granule.codec == "ccsds122"
    # one scene: the stop of the datastrip, which is the start of its last scene, is its start
    assert parse_iso(datastrip.stop) == parse_iso(datastrip.start)


@pytest.mark.row("IPF-08")
def test_packets_come_back_from_the_safe_bit_by_bit(session: Session, safe: list[Path], tmp_path: Path) -> None:
    notes = import_l0(safe[0], safe[1:], str(tmp_path / "back.zarr"), str(session.folder / "session/aux"))
    assert notes == ()
    back = str(tmp_path / "back.zarr")
    before, after = (zarr.open_group(url, mode="r") for url in (session.l0, back))
    exact = 0
    for path, array in before.members(max_depth=None):
        if isinstance(array, zarr.Array) and not path.startswith("conditions/ephemeris/"):
            np.testing.assert_array_equal(_read(back, path), np.asarray(array[...]), err_msg=path)
            exact += 1
    assert exact >= 4 * len(QL) + 5
    # the metadata have the orbit in whole millimetres
    for name in ("position", "velocity"):
        path = f"conditions/ephemeris/{name}"
        np.testing.assert_allclose(_read(back, path), _read(session.l0, path), rtol=0, atol=5.01e-4)
    stated, expected = (dict(group.attrs)["s2dask"] for group in (after, before))
    for key in ("codec", "scenes", "sensing_start_gps", "sensing_stop_gps", "unit", "absolute_orbit", "datatake_id"):
        assert stated[key] == expected[key]  # type: ignore[index,call-overload]


def test_ancillary_packets_have_the_values_of_the_store(session: Session, safe: list[Path]) -> None:
    files = sorted((safe[0] / "ANC_DATA").iterdir())
    assert [path.name[13:19] for path in files] == ["S11105", "S48001"]
    for path, group, apid in zip(files, ("attitude", "ephemeris"), (182, 774), strict=True):
        records = read_records(path.read_bytes(), path.name, "ancillary")
        assert set(records.apid.tolist()) == {apid}
        time = _read(session.l0, f"conditions/{group}/gps_time")
        assert np.abs(records.time - time).max() <= 60
        np.testing.assert_array_equal(np.ascontiguousarray(records.packets[:, 19:27]).view(">i8")[:, 0], time)


def test_a_cut_granule_of_ours_is_refused_and_read_on_request(safe: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / safe[1].name
    shutil.copytree(safe[1], folder)
    band_file = next((folder / "IMG_DATA").glob("*_B10.bin"))
    whole = 5 * (ANNOTATION_BYTES + band("B10").packet_length)
    band_file.write_bytes(band_file.read_bytes()[: whole + 100])
    with pytest.raises(Exception, match=rf"_B10\.bin has {whole + 100} of"):
        read_granule(folder)
    notes = import_l0(safe[0], [folder], str(tmp_path / "cut.zarr"), allow_truncated=True)
    assert any("B10: 5 whole packets" in note for note in notes)
    status = _read(str(tmp_path / "cut.zarr"), f"{packet_path(6, 'B10')}/status")
    assert (status == 1).sum() >= 17


def test_zarr_and_safe_are_delivered_in_one_step(session: Session, tmp_path: Path) -> None:
    url = str(tmp_path / "l0.zarr")
    shutil.copytree(session.l0, url)
    with pytest.raises(ConfigurationError, match="some of zarr, safe"):
        release_datastrip(url, str(tmp_path / "out"), ("tar",))
    paths = [Path(p).name for p in release_datastrip(url, str(tmp_path / "out"), ("zarr", "safe"))]
    assert sum("_GR_" in name for name in paths) == 1
    assert {name.endswith(".zarr") for name in paths if "_DS_" in name} == {True, False}
    assert not Path(url).exists()


def test_a_safe_needs_footprints(session: Session, tmp_path: Path) -> None:
    url = tmp_path / "l0.zarr"
    shutil.copytree(session.l0, url)
    group = zarr.open_group(str(url), mode="r+", use_consolidated=False)
    attrs: Any = group.attrs["s2dask"]
    group.attrs["s2dask"] = {k: v for k, v in attrs.items() if k != "location"}
    with pytest.raises(InputMissing, match="run the quick-look"):
        write_safe_l0(str(url), tmp_path, datetime.now(UTC))
