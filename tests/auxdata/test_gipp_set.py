"""Selection of GIPPs: LatestValCover per type, band and unit, whatever the order of arrival; a stable identity."""

import pickle
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import radiometry_model as model
from hypothesis import given
from hypothesis import strategies as st

from s2dask.auxdata.gipp_set import GippFile, GippSet, latest_val_cover
from s2dask.errors import ConfigurationError, InputError, InputMissing

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
