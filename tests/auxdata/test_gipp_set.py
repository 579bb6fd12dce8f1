"""Selection of GIPPs: LatestValCover per type, band and unit, whatever the order of arrival; a stable identity."""

import pickle
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import radiometry_model as model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2dask.auxdata import gipp_set
from s2dask.auxdata.gipp_container import read_gipp, version_of
from s2dask.auxdata.gipp_set import GippFile, GippSet, latest_val_cover
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import BANDS

START, STOP = datetime(2020, 8, 16, 12, 2, 20, tzinfo=UTC), datetime(2020, 8, 16, 12, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def _name(kind: str, band: str, unit: str, creation: datetime, start: datetime, stop: datetime) -> str:
    dates = [f"{d:%Y%m%dT%H%M%S}" for d in (creation, start, stop)]
    return f"{unit}_OPER_GIP_{kind}_MPC__{dates[0]}_V{dates[1]}_{dates[2]}_{band}.DBL"


@st.composite
def catalogues(draw: st.DrawFn) -> list[GippFile]:
    days = st.integers(-40, 40).map(lambda d: START + d * DAY)
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["R2EQOG", "R2ABCA"]),
                st.sampled_from(["B00", "B04", "B8A"]),
                st.sampled_from(["S2A", "S2B", "S2_"]),
                days,
                days,
                days,
            ),
            max_size=25,
            unique=True,
        )
    )
    files = [GippFile.from_path(Path(_name(*row))) for row in rows]
    return [f for f in files if f is not None]


@pytest.mark.row("OPS-07")
@given(catalogues(), st.randoms())
def test_latest_val_cover_by_its_definition_in_any_order(files: list[GippFile], random: object) -> None:
    expected = {}
    for key in {(f.type, f.band) for f in files}:
        fit = [
            f
            for f in files
            if (f.type, f.band) == key and f.unit in ("S2A", "S2_") and f.start <= START and f.stop >= STOP
        ]
        if fit:
            expected[key] = max(fit, key=lambda f: (f.creation, f.name))
    shuffled = list(files)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert latest_val_cover(shuffled, "S2A", START, STOP) == expected


def test_a_folder_gives_the_latest_of_each_type_and_band(tmp_path: Path) -> None:
    model.write_gipps(tmp_path / "a", {"B04": model.pixels("B04"), "B11": model.pixels("B11")})
    newer = model.gipp_name("R2ABCA", creation="20200810T000000")
    (tmp_path / "a" / newer).write_text(model.r2abca())
    (tmp_path / "a" / "README.txt").write_text("no GIPP")
    gipps = GippSet.open(tmp_path, "S2A", START, STOP)
    assert gipps.path("R2ABCA").name == newer
    assert gipps.path("R2EQOG", "B11").name == model.gipp_name("R2EQOG", "B11")
    assert len(gipps.names) == 6
    with pytest.raises(InputMissing, match="GIP_R2EQOG of S2A for B02"):
        gipps.path("R2EQOG", "B02")
    assert gipps == GippSet.open(tmp_path, "S2A", START.replace(tzinfo=None), STOP.replace(tzinfo=None))


def test_the_identity_is_that_of_names_and_content(tmp_path: Path) -> None:
    first = model.write_gipps(tmp_path / "one", {"B04": model.pixels("B04")})
    second = shutil.copytree(first, tmp_path / "two" / "deeper")
    one, two = (GippSet.open(f, "S2A", START, STOP) for f in (first, second))
    assert one == two
    assert hash(one) == hash(two)
    assert pickle.loads(pickle.dumps(one)) == one
    changed = second / model.gipp_name("R2ABCA")
    changed.write_text(changed.read_text().replace("4.1", "4.2", 1))
    assert GippSet.open(second, "S2A", START, STOP).id != one.id


def test_another_unit_or_date_is_missing(tmp_path: Path) -> None:
    model.write_gipps(tmp_path, {"B04": model.pixels("B04")})
    with pytest.raises(InputMissing, match="no GIPP of S2B covers 2020-08-16T12:02:20"):
        GippSet.open(tmp_path, "S2B", START, STOP)
    with pytest.raises(InputMissing, match="5 GIPP files are there"):
        GippSet.open(tmp_path, "S2A", START - 3000 * DAY, STOP)
    with pytest.raises(InputMissing, match="no such GIPP folder"):
        GippSet.open(tmp_path / "nowhere", "S2A", START, STOP)
    with pytest.raises(ConfigurationError, match="no such unit"):
        GippSet.open(tmp_path, "S2X", START, STOP)


def test_names_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="impossible date"):
        GippFile.from_path(Path(model.gipp_name("R2ABCA", creation="20201399T000000")))
    with pytest.raises(InputError, match="unknown band B13"):
        GippFile.from_path(Path(model.gipp_name("R2EQOG", "B13")))
    assert GippFile.from_path(Path("S2A_OPER_GIP_R2ABCA.txt")) is None


def test_the_real_names_are_understood(reference_data: Path) -> None:
    folder = reference_data / "radiometry/gipp"
    gipps = GippSet.open(folder, "S2A", START, STOP)
    assert {(f.type, f.band) for f in gipps.files} >= {("BLINDP", "B00"), ("VIEDIR", "B10"), ("VIEDIR", "B05")}
    assert GippSet.open(folder, "S2B", START, STOP).id != gipps.id
    spamod = datetime(2021, 4, 21, 23, 30, tzinfo=UTC)
    assert "SPAMOD" in {f.type for f in GippSet.open(folder, "S2A", spamod, spamod).files}
    assert "SPAMOD" not in {f.type for f in gipps.files}


MIXED = ("gipp_tgz/S2C", "gipp_tgz/S2B", "gipp_tgz/S2A", "geometry/gipp")
"""Folders of three units, of plain files and archives."""
SUMMER = datetime(2025, 7, 1, tzinfo=UTC)


@pytest.fixture
def mixture(reference_data: Path, tmp_path: Path) -> Path:
    """Return a folder with the files of all units in all containers, as links."""
    for folder in MIXED:
        for path in (reference_data / folder).rglob("*B00.*"):
            place = tmp_path / path.name[:3].lower()
            place.mkdir(exist_ok=True)
            (place / path.name).symlink_to(path)
    (tmp_path / "README.md").write_text("no GIPP")
    return tmp_path


def test_the_right_version_of_each_unit_in_a_mixture(mixture: Path) -> None:
    def version(unit: str, kind: str, date: datetime) -> str:
        return GippSet.open(mixture, unit, date, date).path(kind).stem[25:40]

    winter = datetime(2026, 1, 5, tzinfo=UTC)
    assert version("S2C", "SPAMOD", SUMMER) == "20250519T000006"
    assert version("S2C", "SPAMOD", SUMMER + 60 * DAY) == "20250805T000007"
    assert version("S2C", "SPAMOD", winter) == "20251217T000008"
    assert version("S2B", "SPAMOD", winter) == "20250428T000037"
    assert version("S2A", "SPAMOD", winter) == "20250310T090027"
    assert version("S2A", "SPAMOD", datetime(2022, 1, 1, tzinfo=UTC)) == "20210419T000024"
    assert version("S2A", "PRDLOC", datetime(2015, 6, 22, 12, tzinfo=UTC)) == "20150605T094736"
    assert version("S2A", "PRDLOC", datetime(2015, 7, 2, 12, tzinfo=UTC)) == "20150715T135750"
    assert version("S2A", "PRDLOC", START) == "20180301T130000"


def test_an_interval_across_a_change_takes_the_version_that_covers_all(mixture: Path) -> None:
    change = datetime(2025, 8, 6, tzinfo=UTC)
    gipps = GippSet.open(mixture, "S2C", change - DAY, change + DAY)
    assert gipps.path("SPAMOD").stem[25:40] == "20250519T000006"


def test_the_container_does_not_count(reference_data: Path, tmp_path: Path) -> None:
    archives = sorted(reference_data.glob("gipp_tgz/S2C/GIP_SPAMOD/*.TGZ"))
    for name in ("packed", "plain", "both"):
        (tmp_path / name).mkdir()
    for path in archives:
        (tmp_path / "packed" / path.name).write_bytes(path.read_bytes())
        (tmp_path / "both" / path.name).write_bytes(path.read_bytes())
        (tmp_path / "plain" / f"{path.stem}.xml").write_bytes(read_gipp(path))
        (tmp_path / "both" / f"{path.stem}.DBL").write_bytes(read_gipp(path))
    ids = {GippSet.open(tmp_path / name, "S2C", SUMMER, SUMMER).id for name in ("packed", "plain", "both")}
    assert len(ids) == 1
    chosen = GippSet.open(tmp_path / "both", "S2C", SUMMER, SUMMER).path("SPAMOD")
    other = tmp_path / "both" / f"{chosen.stem}.xml"
    other.write_bytes(read_gipp(chosen).replace(b"0.5", b"0.6"))
    with pytest.raises(InputError, match=r"differs from .*keep one of the two"):
        GippSet.open(tmp_path / "both", "S2C", SUMMER, SUMMER)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.randoms(), st.sampled_from(["S2A", "S2B", "S2C"]), st.sampled_from(["error", "rule", "nearest"]))
def test_the_answer_does_not_depend_on_the_order_of_the_listing(
    mixture: Path, random: Random, unit: str, absent: gipp_set.Absent
) -> None:
    date = SUMMER + timedelta(days=random.randrange(-200, 200))
    listed = [f"{unit}_OPER_GIP_SPAMOD_MPC__20220222T000033_V20220224T001500_21000101T000000_B00"]
    expected = GippSet.open(mixture, unit, date, date, listed, absent)

    def shuffled(folder: Path) -> list[GippFile]:
        files = list(_in_order(folder))
        random.shuffle(files)
        return files

    _in_order = gipp_set._gipps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gipp_set, "_gipps", shuffled)
        assert GippSet.open(mixture, unit, date, date, listed, absent) == expected


def _listing(reference_data: Path) -> dict[str, str]:
    folder = reference_data / "gipp_tgz/S2C/GIP_SPAMOD"
    return {path.stem: version_of(read_gipp(path)) for path in sorted(folder.glob("*.TGZ"))}


def test_what_the_product_lists_goes_before_the_rule(mixture: Path, reference_data: Path) -> None:
    oldest, _, newest = _listing(reference_data).items()
    assert GippSet.open(mixture, "S2C", SUMMER, SUMMER, dict([newest])).path("SPAMOD").stem == newest[0]
    late = SUMMER + 300 * DAY
    assert GippSet.open(mixture, "S2C", late, late, dict([oldest])).path("SPAMOD").stem == oldest[0]
    assert GippSet.open(mixture, "S2C", late, late, [oldest[0]]).path("SPAMOD").stem == oldest[0]


def test_a_listed_file_that_is_not_there(mixture: Path, caplog: pytest.LogCaptureFixture) -> None:
    listed = ["S2B_OPER_GIP_SPAMOD_MPC__20220222T000033_V20220224T001500_21000101T000000_B00"]
    date = datetime(2022, 10, 11, tzinfo=UTC)
    strict = GippSet.open(mixture, "S2B", date, date, listed)
    assert strict.path("PRDLOC").stem[25:40] == "20180301T130000"
    with pytest.raises(InputMissing, match=r"lists S2B_OPER_GIP_SPAMOD\S*, which is not there; S2B_\S*20250428T"):
        strict.path("SPAMOD")
    with pytest.raises(InputMissing, match="no GIP_SPAMOD of S2B for B00 covers"):
        GippSet.open(mixture, "S2B", date, date, listed, absent="rule").path("SPAMOD")
    near = GippSet.open(mixture, "S2B", date, date, listed, absent="nearest")
    assert near.path("SPAMOD").stem[25:40] == "20250428T000037"
    assert near.substitutes == (near.path("SPAMOD").name,)
    assert "stands in for" in caplog.text
    late = SUMMER
    assert GippSet.open(mixture, "S2B", late, late, listed, absent="rule").path("SPAMOD") == near.path("SPAMOD")
    with pytest.raises(ConfigurationError, match="absent='maybe'"):
        GippSet.open(mixture, "S2B", date, date, listed, absent="maybe")  # type: ignore[arg-type]


def test_a_listed_file_of_another_unit_or_version(mixture: Path, reference_data: Path) -> None:
    (name, version), *_ = _listing(reference_data).items()
    assert GippSet.open(mixture, "S2C", SUMMER, SUMMER, {name: version.lstrip("0")}).path("SPAMOD").stem == name
    with pytest.raises(InputMissing, match="is version 0006, the product lists 0005"):
        GippSet.open(mixture, "S2C", SUMMER, SUMMER, {name: "0005"}).path("SPAMOD")
    with pytest.raises(InputMissing, match=f"the product lists {name}, a file of S2C"):
        GippSet.open(mixture, "S2B", SUMMER, SUMMER, [name]).path("SPAMOD")


def test_another_file_in_the_place_of_one(tmp_path: Path) -> None:
    folder = model.write_gipps(tmp_path / "aux", {"B04": model.pixels("B04"), "B11": model.pixels("B11")})
    gipps = GippSet.open(folder, "S2A", START, STOP)
    mine = tmp_path / "brighter.xml"
    mine.write_text(model.r2abca().replace("4.1", "4.2", 1))
    changed = gipps.replace(R2ABCA=mine)
    assert (changed.path("R2ABCA"), gipps.path("R2ABCA").name) == (mine, model.gipp_name("R2ABCA"))
    assert len({gipps.id, changed.id}) == len({gipps, changed}) == 2
    assert changed == gipps.replace({"R2ABCA": str(mine)})
    assert changed.replace(R2ABCA=gipps.path("R2ABCA")) == gipps.replace() == gipps
    assert changed.names != gipps.names
    table = tmp_path / "mine.xml"
    table.write_text(model.r2eqog(model.pixels("B04", seed=9)))
    for other in (gipps.replace({("R2EQOG", "B04"): table}), gipps.replace(R2EQOG={"B04": table})):
        assert (other.path("R2EQOG", "B04"), other.path("R2EQOG", "B11")) == (table, gipps.path("R2EQOG", "B11"))
        assert other.id not in (gipps.id, changed.id)
    assert pickle.loads(pickle.dumps(changed)) == changed


@pytest.mark.parametrize(
    ("changes", "error", "what"),
    [
        ({"R2XXXX": "r2abca.xml"}, ConfigurationError, "no such GIPP type: R2XXXX"),
        ({"R2EQOG": "r2eqog.xml"}, ConfigurationError, "GIP_R2EQOG is one file per band"),
        ({("R2ABCA", "B04"): "r2abca.xml"}, ConfigurationError, "GIP_R2ABCA is one file for all bands"),
        ({"R2ABCA": "absent.xml"}, InputMissing, "no such GIPP"),
        ({"R2ABCA": "foreign.xml"}, InputError, "HEADER/SATELLITE: a GIPP of S2B for S2A"),
        ({"R2ABCA": "r2eqog.xml"}, InputError, "root element"),
        ({("R2EQOG", "B02"): "r2eqog.xml"}, InputError, r"BAND_ID: band 3 instead of 1 \(B02\)"),
    ],
)
def test_a_file_that_cannot_stand_there_is_refused(
    tmp_path: Path, changes: dict[str | tuple[str, str], str], error: type[Exception], what: str
) -> None:
    gipps = GippSet.open(model.write_gipps(tmp_path / "aux", {"B04": model.pixels("B04")}), "S2A", START, STOP)
    (tmp_path / "r2abca.xml").write_text(model.r2abca())
    (tmp_path / "foreign.xml").write_text(model.r2abca("S2B"))
    (tmp_path / "r2eqog.xml").write_text(model.r2eqog(model.pixels("B04")))
    with pytest.raises(error, match=what):
        gipps.replace({key: tmp_path / name for key, name in changes.items()})


def test_the_name_of_another_type_is_refused(tmp_path: Path) -> None:
    gipps = GippSet.open(model.write_gipps(tmp_path / "aux", {"B04": model.pixels("B04")}), "S2A", START, STOP)
    path = tmp_path / model.gipp_name("R2CRCO")
    path.write_text(model.r2abca())
    with pytest.raises(InputError, match="a GIP_R2CRCO of S2A for B00; give a GIP_R2ABCA"):
        gipps.replace(R2ABCA=path)


def test_a_set_of_some_bands_is_known_as_such(tmp_path: Path) -> None:
    gipps = GippSet.open(model.write_gipps(tmp_path, {"B04": model.pixels("B04")}), "S2A", START, STOP)
    with pytest.raises(InputMissing, match="no R2EQOG of B01, B02, B03, B05"):
        gipps.check_bands()
    with pytest.raises(InputMissing, match="no R2DENT of B01, B02"):
        gipps.check_bands("R2DENT")
    GippSet.open(model.write_gipps(tmp_path, {n: model.pixels(n) for n in BANDS}), "S2A", START, STOP).check_bands()
