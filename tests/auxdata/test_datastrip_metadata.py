"""Datastrip and granule metadata: the real L0 and L1B files, and what a damaged or partial one does."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from s2dask.auxdata.datastrip import DatastripMetadata, read_datastrip
from s2dask.auxdata.gipp_geometry import read_viedir
from s2dask.auxdata.granule import find_granules, read_granule
from s2dask.auxdata.leap_seconds import BUILT_IN, LeapSeconds
from s2dask.auxdata.time import gps_to_utc
from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS

Change = Callable[[str], str]


@pytest.fixture(scope="module")
def text(request: pytest.FixtureRequest) -> str:
    folder = request.getfixturevalue("reference_data")
    return next(folder.glob("geometry/l1b/DATASTRIP/*/*.xml")).read_text("utf-8")


@pytest.fixture
def read(text: str, tmp_path: Path) -> Callable[[Change], DatastripMetadata]:
    """Read the real metadata after a change."""

    def changed(change: Change) -> DatastripMetadata:
        path = tmp_path / "strip.xml"
        after = change(text)
        assert after != text
        path.write_text(after, "utf-8")
        return read_datastrip(path)

    return changed


@pytest.fixture(scope="module")
def l1b(request: pytest.FixtureRequest) -> DatastripMetadata:
    return read_datastrip(request.getfixturevalue("reference_data") / "geometry/l1b")


def test_the_real_l1b_datastrip(l1b: DatastripMetadata) -> None:
    assert (l1b.level, l1b.unit, l1b.line_period) == ("L1B", "S2A", pytest.approx(1.565873622e-3, rel=1e-12))
    assert f"{gps_to_utc(l1b.sensing[0]):%Y-%m-%dT%H:%M:%S.%f}" == "2020-08-16T12:02:20.458000"
    assert l1b.trajectory.position.shape == (97, 3)
    assert l1b.trajectory.quaternion.shape == (950, 4)
    assert set(l1b.first_line_date) == {(d, name) for d in range(1, 13) for name in BANDS}
    assert l1b.gipps["S2A_OPER_GIP_SPAMOD_MPC__20210419T000024_V20210421T233000_21000101T000000_B00"] == "0024"
    assert len(l1b.gipps) == 130
    assert l1b.refining.homothety == pytest.approx([-2.53929601479642e-06])
    assert l1b.refining.rotation["X"] == pytest.approx([2.95053743505789e-06, -3.97553724884445e-08])
    assert not l1b.refining.position


def test_the_real_l0_datastrip(reference_data: Path) -> None:
    strip = read_datastrip(reference_data / "ops/l0c")
    assert (strip.level, strip.unit, strip.line_period) == ("L0", "S2B", pytest.approx(1.5658736e-3, rel=1e-12))
    assert strip.trajectory.position.shape == (123, 3)
    assert strip.trajectory.quaternion.shape == (1230, 4)
    assert set(strip.first_line_date) == {(d, name) for d in range(1, 13) for name in BANDS}
    assert len(strip.granules) == 12 * 16
    assert not strip.refining.rotation
    assert strip.eop.at([59863.0])[:, 0] == pytest.approx([0.2641, 0.2402, -0.00511])
    # before the cut of GIP_PRDLOC the detectors do not begin at the same date on the ground, but in time
    first = np.array([strip.first_line_date[d, "B04"] for d in range(1, 13)])
    assert np.ptp(first) < 12 * 1.6e6


def test_an_unconsolidated_datastrip_has_no_orbit(reference_data: Path) -> None:
    with pytest.raises(InputError, match="0 of GPS_Points_List/GPS_Point, 6 are needed"):
        read_datastrip(reference_data / "ops/l0u")


def test_the_empty_user_product_and_other_files(reference_data: Path, tmp_path: Path) -> None:
    empty = next((reference_data / "geometry/l1b").glob("*.xml"))
    with pytest.raises(InputError, match=f"^{empty.name}: the file is empty; fetch the file again$"):
        read_datastrip(empty)
    granule = next((reference_data / "geometry/l1b").glob("GRANULE/*/*.xml"))
    with pytest.raises(InputError, match="root element 'Level-1B_Granule_ID'; give the metadata of an L0 or L1B"):
        read_datastrip(granule)
    with pytest.raises(InputMissing, match="no datastrip metadata"):
        read_datastrip(tmp_path)
    for name in "AB":
        (tmp_path / f"S2A_OPER_MTD_L1B_DS_{name}.xml").touch()
    with pytest.raises(InputError, match=r"2 datastrips; give one: S2A_OPER_MTD_L1B_DS_A\.xml, "):
        read_datastrip(tmp_path)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t[: len(t) // 2], "no well-formed XML"),
        (lambda t: t[:40], "no well-formed XML"),
        (lambda _: "\n ", "the file is empty"),
        (lambda _: "GIF89a", "no well-formed XML"),
        (lambda t: t.replace("?>", f"?>{BOMB}", 1).replace("Sentinel-2A", "&b;", 1), "a document type is declared"),
        (lambda t: t.replace("?>", '?><!DOCTYPE x SYSTEM "file:///etc/passwd">', 1), "a document type is declared"),
        (lambda t: t.replace("Sentinel-2A", "&b;", 1), "no well-formed XML: Entity 'b' not defined"),
        (lambda t: "\0" + t, "no XML in UTF-8"),
        (lambda _: "<a>" * 400 + "</a>" * 400, "no well-formed XML"),
    ],
    ids=["half", "start", "empty", "picture", "bomb", "file", "entity", "nul", "deep"],
)
def test_damaged_or_hostile_xml_is_refused_in_a_line(
    read: Callable[[Change], DatastripMetadata], change: Change, reason: str
) -> None:
    with pytest.raises(InputError, match=f"^strip.xml: {reason}") as error:
        read(change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (">1.565873622<", "> <", "Time_Stamp/LINE_PERIOD is missing"),
        (">1.565873622<", ">NaN<", "LINE_PERIOD 'NaN' is not 1 number"),
        (">1.565873622<", ">15.65873622<", "LINE_PERIOD of 15.6587 ms"),
        ("Sentinel-2A", "Sentinel-3A", "SPACECRAFT_NAME 'Sentinel-3A'"),
        (">2020-08-16T12:02:20.458Z<", ">2020-08-16T12:99:20.458Z<", "SENSING_START .* is not a date"),
        (">2020-08-16T12:02:20.458Z<", ">2021-08-16T12:02:20.458Z<", "SENSING_STOP is not after"),
        ('bandId="12"', 'bandId="13"', "bandId '13' is not a number from 0 to 12"),
        ('detectorId="12"', 'detectorId="twelve"', "detectorId 'twelve' is not a number from 1 to 12"),
        ("<POSITION>2305<", "<POSITION>0<", "POSITION '0' is not a number"),
        (">5592938400 ", ">inf ", "POSITION_VALUES .* is not 3 numbers"),
        (">-0.47671519231492 ", ">", "QUATERNION_VALUES .* is not 4 numbers"),
        (">-0.47671519231492 ", ">-0.5 ", "1 quaternions are not of length 1"),
        (">APPLIED<", ">LINE_C<", "TDI_CONFIGURATION 'LINE_C'"),
        (">2020-08-16T12:02:09.9<", ">yesterday<", "GPS_TIME 'yesterday' is not a date"),
        ("<DEGREE>1<", "<DEGREE>2<", "Rotation/X has 2 coefficients for degree 2"),
        (">-2.53929601479642e-06<", ">a<", "Homothety/Z is not a list of numbers"),
        (">0.2393<", "> <", "IERS_Bulletin/POLE_U_ANGLE is missing"),
        (
            '<GPS_TIME_UTC unit="s">18',
            '<GPS_TIME_UTC unit="s">19',
            r"GPS_TIME_UTC is 19 s, by the leap seconds \(built",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named(
    read: Callable[[Change], DatastripMetadata], before: str, after: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as error:
        read(lambda t: t.replace(before, after, 1))
    assert str(error.value).startswith("strip.xml: ")


def test_a_newer_table_of_leap_seconds(text: str, tmp_path: Path) -> None:
    path = tmp_path / "strip.xml"
    path.write_text(text.replace('<GPS_TIME_UTC unit="s">18', '<GPS_TIME_UTC unit="s">19'))
    newer = LeapSeconds((*BUILT_IN.dates, BUILT_IN.dates[-1].replace(year=2019)), (*BUILT_IN.offsets, 38), "newer")
    strip = read_datastrip(path, newer)
    assert f"{gps_to_utc(strip.sensing[0], newer):%H:%M:%S.%f}" == "12:02:20.458000"
    assert strip.sensing[0] == 1281614558458000000 + 10**9
    assert strip.eop.leaps is newer


def test_unknown_nodes_are_passed_over(read: Callable[[Change], DatastripMetadata], l1b: DatastripMetadata) -> None:
    extra = '<Newer_Than_Us version="99"><GPS_TIME>tomorrow</GPS_TIME></Newer_Than_Us>'

    def change(t: str) -> str:
        for tag in ("<Time_Stamp ", "<GPS_Points_List>", "<Refined_Corrections>", "<IERS_Bulletin>", "<Granule_List>"):
            t = t.replace(tag, extra + tag)
        return t.replace("<QUATERNION_VALUES>", "<!-- why not --><MORE>1</MORE><QUATERNION_VALUES>")

    found = read(change)
    assert found.first_line_date == l1b.first_line_date
    np.testing.assert_array_equal(found.trajectory.quaternion, l1b.trajectory.quaternion)


def reordered(t: str, path: str, order: Callable[[list[etree._Element]], list[etree._Element]]) -> str:
    """Return the metadata with the children of a node in another order."""
    root = etree.fromstring(t.encode())
    (parent,) = root.findall(path)
    for child in (children := list(parent)):
        parent.remove(child)
    parent.extend(order(children))
    return etree.tostring(root, encoding="unicode")


def test_unsorted_and_duplicate_samples(read: Callable[[Change], DatastripMetadata], l1b: DatastripMetadata) -> None:
    def again(nodes: list[etree._Element]) -> list[etree._Element]:
        copies = [etree.fromstring(etree.tostring(n)) for n in nodes[3:6]]
        return [*nodes[::-2], *copies, *nodes[-2::-2]]

    for path in (".//Corrected_Attitudes", ".//GPS_Points_List"):
        found = read(lambda t, path=path: reordered(t, path, again)).trajectory  # type: ignore[misc]
        for name in ("position_time", "position", "attitude_time", "quaternion"):
            np.testing.assert_array_equal(getattr(found, name), getattr(l1b.trajectory, name))


def test_opposite_quaternions_are_one_rotation_and_others_contradict(
    read: Callable[[Change], DatastripMetadata],
) -> None:
    def with_copy(factor: float) -> Change:
        def order(nodes: list[etree._Element]) -> list[etree._Element]:
            copy = etree.fromstring(etree.tostring(nodes[5]))
            node = copy.find("QUATERNION_VALUES")
            assert node is not None
            assert node.text is not None
            node.text = " ".join(repr(factor * float(v)) for v in node.text.split())
            return [*nodes, copy]

        return lambda t: reordered(t, ".//Corrected_Attitudes", order)

    assert read(with_copy(-1.0)).trajectory.attitude_time.size == 950
    with pytest.raises(InputError, match=r"two different QUATERNION_VALUES at 2020-08-16T12:01:52.400000 UTC"):
        read(with_copy(0.999999999))


def test_attitudes_that_are_not_valid_are_left_out(read: Callable[[Change], DatastripMetadata]) -> None:
    assert (
        read(
            lambda t: t.replace("<QUATERNION_VALIDITY>true", "<QUATERNION_VALIDITY>false", 2)
        ).trajectory.attitude_time.size
        == 948
    )
    with pytest.raises(InputError, match="0 of Corrected_Attitudes/Values, 8 are needed"):
        read(lambda t: t.replace("<QUATERNION_VALIDITY>true", "<QUATERNION_VALIDITY>false"))


@pytest.mark.parametrize(("index", "name"), [(2, "B03"), (3, "B04"), (11, "B11"), (12, "B12")])
def test_each_band_has_its_own_tdi(
    read: Callable[[Change], DatastripMetadata], reference_data: Path, index: int, name: str
) -> None:
    """Trap 1: bandId is an index; the peer compares it with the number in the name of the band."""
    mixture = {"B03": "LINE_A", "B04": "LINE_B", "B11": "LINE_A", "B12": "LINE_B", name: "APPLIED"}
    order = {2: "B03", 3: "B04", 11: "B11", 12: "B12"}

    def change(t: str) -> str:
        for i, b in order.items():
            t = re.sub(rf'(<TDI_CONFIGURATION bandId="){i}(">)APPLIED', rf"\g<1>{i:02d}\g<2>{mixture[b]}", t)
        return t

    strip = read(change)
    assert strip.tdi == mixture
    path = next(reference_data.glob(f"gipp_tgz/S2A/GIP_VIEDIR/*_{name}.TGZ"))
    directions = read_viedir(path, "S2A", name)
    for tdi in ("APPLIED", "LINE_A", "LINE_B"):
        same = np.array_equal(directions.of(5, strip.tdi[name]), directions.tangents[tdi, 5])
        assert same == (tdi == strip.tdi[name])


def test_missing_granules(read: Callable[[Change], DatastripMetadata], l1b: DatastripMetadata) -> None:
    """Trap 9: neither the first nor the last granule need be there."""

    def change(t: str) -> str:
        t = re.sub(r"<Granule granuleId=\S*\s*<POSITION>(?:1|11521)</POSITION>\s*</Granule>", "", t)
        return re.sub(r'(<Detector detectorId="07">\s*)<Granule_List>.*?</Granule_List>', r"\1", t, flags=re.DOTALL)

    found = read(change)
    assert len(found.granules) == 11 * 4
    assert all(l1b.granules[name] == place for name, place in found.granules.items())
    assert min(line for _, line in found.granules.values()) == 2304
    assert found.first_line_date == l1b.first_line_date


def test_refining_of_every_kind(read: Callable[[Change], DatastripMetadata]) -> None:
    """Trap 2: the references never switch refining off."""
    axes = "".join(
        f"<{a}><DEGREE>2</DEGREE><COEFFICIENTS>1.5 -2e-3 {i}</COEFFICIENTS></{a}>" for i, a in enumerate("XYZ")
    )

    def change(t: str) -> str:
        t = re.sub(r"<Spacecraft_Position\s*/>", f"<Spacecraft_Position>{axes}</Spacecraft_Position>", t)
        plane = '<Focal_Plane_State focalPlaneId="SWIR"'
        state = "<Homothety><Z><DEGREE>1</DEGREE><COEFFICIENTS>1e-6 2e-7</COEFFICIENTS></Z></Homothety>"
        return t.replace(f"{plane}/>", f"{plane}><Rotation>{axes}</Rotation>{state}</Focal_Plane_State>")

    refining = read(change).refining
    assert {a: p.tolist() for a, p in refining.position.items()} == {a: [1.5, -2e-3, i] for i, a in enumerate("XYZ")}
    swir = refining.focal_planes["SWIR"]
    assert swir.rotation["Y"].tolist() == [1.5, -2e-3, 1.0]
    assert swir.homothety.tolist() == [1e-6, 2e-7]
    assert refining.rotation["Z"].size == 2
    off = read(lambda t: t.replace('<Image_Refining flag="REFINED"', '<Image_Refining flag="NOT_REFINED"')).refining
    assert not off.rotation
    assert off.homothety.size == 0
    with pytest.raises(InputError, match="refining has MSI_State/Translation in X"):
        read(lambda t: t.replace("<MSI_State>", f"<MSI_State><Translation>{axes[: axes.index('<Y>')]}</Translation>"))


def test_every_real_granule(reference_data: Path, l1b: DatastripMetadata) -> None:
    granules = {name: read_granule(path) for name, path in find_granules(reference_data / "geometry/l1b").items()}
    assert granules.keys() == l1b.granules.keys()
    for name, granule in granules.items():
        assert granule.id == name
        assert (granule.detector, granule.first_line) == l1b.granules[name]
        assert granule.sizes == {10: (2304, 2552), 20: (1152, 1276), 60: (384, 425)}
        assert granule.pixel_origin == 1
        # the sensing time, UTC to the microsecond, is that at which its first line of the reference band begins
        elapsed = (granule.sensing_time - l1b.first_line_date[granule.detector, "B04"]) * 1e-9 / l1b.line_period
        assert elapsed == pytest.approx(granule.first_line - 0.5, abs=1e-3)
        lon, lat, _ = granule.footprint.T
        assert lon.size == 5
        assert -20 < lon.min() < lon.max() < -14
        assert 31 < lat.min() < lat.max() < 35


def test_the_real_l0_granule(reference_data: Path) -> None:
    granule = read_granule(next(reference_data.glob("ops/l0_granule/*_MTD_L0__GR_*.xml")))
    assert (granule.detector, granule.first_line, granule.sizes) == (1, 2304, {})
    assert granule.footprint[0] == pytest.approx([36.012719203864, 48.4255437011909, 91.9275659154926])


def test_granules_that_cannot_be(reference_data: Path, tmp_path: Path) -> None:
    folder = next((reference_data / "geometry/l1b/GRANULE").glob("*_S20200816T120222_D02_*"))
    source = next(folder.glob("*.xml")).read_text()
    assert read_granule(folder).first_line == 0
    path = tmp_path / "S2A_OPER_MTD_L1B_GR_X.xml"
    for before, after, reason in (
        ("33.7558800285608", "33.7", "no closed ring"),
        ("33.7558800285608 ", "", "14 numbers is no ring"),
        ("33.5434213629874", "133.5434213629874", "leaves the Earth"),
        ("<POSITION>1<", "<POSITION>1.5<", "POSITION '1.5' is not a number"),
        ("_Granule_ID", "_DataStrip_ID", "root element"),
        ("EXT_POS_LIST", "POS_LIST", "EXT_POS_LIST is missing"),
    ):
        path.write_text(source.replace(before, after, 1) if before[0].isdigit() else source.replace(before, after))
        with pytest.raises(InputError, match=f"{path.name}: .*{reason}"):
            read_granule(tmp_path)
    with pytest.raises(InputMissing, match="no granules"):
        find_granules(tmp_path)
    path.unlink()
    with pytest.raises(InputMissing, match="0 files"):
        read_granule(tmp_path)
