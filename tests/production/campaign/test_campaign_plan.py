"""A request finds its sessions in an archive, tells what they will cost and lack, and refuses a mix of GIPPs."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s2dask.auxdata.gipp_set import GippFile
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.l2a.options import Corrections
from s2dask.production.campaign import Campaign
from s2dask.production.campaign_archive import find_sources
from s2dask.production.campaign_aux import Frozen, check_one_set
from s2dask.production.campaign_request import Request
from s2dask.production.resampling import Resampling


def test_sessions_and_products_are_found_at_any_depth(archive: Path, tmp_path: Path) -> None:
    products = tmp_path / "more" / "a" / "b"
    for name in (
        "S2A_MSIL1C_20171207T002051_N0206_R116_T55JEJ_20171207T032513.SAFE",
        "S2A_MSIL2A_20171207T002051_N0206_R116_T55JEJ_20171207T032513.SAFE",
    ):
        (products / name / "GRANULE").mkdir(parents=True)
    shutil.copytree(archive / "2020", tmp_path / "more" / "2020")
    found = find_sources(str(tmp_path / "more"))
    assert [(s.kind, s.unit, s.tile) for s in found] == [("l1c", "S2A", "55JEJ"), ("session", "S2A", "")]
    assert found[0].orbit == 116
    assert found[1].relative_orbit() == 23
    assert find_sources(found[0].url) == [found[0]]
    with pytest.raises(InputMissing, match="nothing there"):
        find_sources(str(tmp_path / "nowhere"))


@pytest.mark.row("OPS-28")
def test_a_plan_tells_datastrips_tiles_hours_and_what_is_missing(archive: Path, tmp_path: Path) -> None:
    made = Campaign("plan", source=str(archive), deliver=str(tmp_path)).plan()
    assert [p.source.name for p in made.planned] == ["session-a", "session-b"]
    assert (made.datastrips, made.tiles) == (2, sum(len(p.tiles) for p in made.planned))
    assert made.terabytes == pytest.approx(sum(p.stat().st_size for p in archive.rglob("*.raw")) * 1e-12)
    e = made.estimate
    alone = [p.made.estimate for p in made.planned if p.made is not None]
    assert e.seconds == pytest.approx(sum(one.seconds for one in alone))
    assert 0 < e.low < e.seconds < e.high
    middle, low, high = made.eta(8)
    assert e.seconds / 8 <= middle
    assert low < middle < high
    assert made.eta(64)[0] < middle
    assert made.price(0.04) == pytest.approx((e.seconds / 90_000, e.low / 90_000, e.high / 90_000))
    # these sessions come without radiometric calibration and without forecasts
    assert any("GIP_R2EQOG of S2A valid at 2020-08-16" in what for what in made.missing)
    assert made.assumed["AUX_ECMWF"] == ["session-a", "session-b"]
    assert made.facts()["datastrips"] == 2
    assert {"Sources", "Missing auxiliary files"} <= {title for title, _, _ in made.tables()}
    assert "session-b" in made._repr_html_()
    assert made.sheet().title == "Plan of campaign plan"
    assert not (tmp_path / ".campaigns.db").exists()


@pytest.mark.row("OPS-28")
def test_what_is_not_asked_for_is_left_out_with_its_reason(archive: Path, tmp_path: Path) -> None:
    def plan(**asked: object) -> tuple[list[str], list[str]]:
        made = Campaign("c", source=str(archive), deliver=str(tmp_path), **asked).plan()  # type: ignore[arg-type]
        return [p.source.name for p in made.planned], [reason for _, reason in made.left_out]

    assert plan(unit="S2B") == (["session-b"], ["of S2A"])
    assert plan(orbits=[23], levels=["L1B"])[0] == ["session-a"]
    assert plan(period=("2021-01-01", "2022-01-01"))[0] == []
    assert plan(tiles=["31TCJ"])[0] == []
    touched, _ = plan(aoi=(21.9, 19.9, 22.1, 20.1))
    assert touched
    assert plan(aoi="POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))")[0] == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"baseline": "N05.10"}, r"baseline N05\.10 cannot be made; .* install"),
        ({"levels": ("L2A",)}, "levels L2A"),
        ({"levels": ("L1B", "L1C")}, "levels L1B, L1C"),
        ({"tiles": ("28SCB",), "aoi": (0.0, 0.0, 1.0, 1.0)}, "tiles and an area"),
        ({"period": ("2021-01-01", "2020-01-01")}, "swap them"),
        ({"period": ("yesterday", "2020-01-01")}, "no date"),
        ({"aoi": "POINT"}, "no area"),
        ({"options": {"keep": True}}, "settled by the campaign"),
        ({"options": {"window": (0, 0, 60, 60)}}, "needs its tile"),
        ({"unit": ("S2X",)}, "S2X"),
        ({"name": "a/b"}, "is no name"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises(Exception, match=message):
        Request(**{"name": "c", "source": "archive"} | asked).wanted()  # type: ignore[arg-type]


def test_a_request_is_kept_as_it_is() -> None:
    request = Request(
        name="c", source="archive", unit=("S2A",), orbits=(23,), tiles=("28SCB",), period=("2020-01-01", "2021-01-01"),
        options={"corrections": {"surroundings": False}, "resampling": Resampling(cut="lower")},
    )  # fmt: skip
    again = Request.of(request.spec())
    assert again.spec() == request.spec()
    order = request.order("archive/s")
    assert (order.corrections, order.resampling.cut) == (Corrections(surroundings=False), "lower")
    fork = request.changed("d", {"unit": "S2B", "zarr_form": "geozarr"})
    assert (fork.name, fork.parent, fork.unit, fork.options["zarr_form"]) == ("d", "c", ("S2B",), "geozarr")


def _file(kind: str, created: str, start: int, stop: int) -> GippFile:
    date = datetime(2020, 1, 1, tzinfo=UTC)
    name = f"S2A_OPER_GIP_{kind}_MPC__{created}T000000_V{start}0101T000000_{stop}0101T000000_B00.xml"
    return GippFile(
        kind, "B00", "S2A", date, date.replace(year=start), date.replace(year=stop), name, Path(name)
    )  # fmt: skip


def _frozen(file: GippFile, year: int, content: str = "same") -> Frozen:
    at = datetime(year, 6, 1, tzinfo=UTC)
    return Frozen(f"{file.name}{content}", "S2A", (at, at), {f"{file.type}/B00": content + file.name}, (file,))


@pytest.mark.row("OPS-30")
def test_a_mix_of_gipp_sets_is_refused() -> None:
    old, new = _file("R2ABCA", "20200101", 2015, 2100), _file("R2ABCA", "20240101", 2015, 2100)
    one, two = _file("R2ABCA", "20200101", 2015, 2019), _file("R2ABCA", "20240101", 2019, 2100)
    check_one_set([("a", _frozen(old, 2018)), ("b", _frozen(old, 2021))])
    check_one_set([("a", _frozen(one, 2018)), ("b", _frozen(two, 2021))])  # each holds for its own time
    with pytest.raises(ConfigurationError, match="which hold for the same time"):
        check_one_set([("a", _frozen(old, 2018)), ("b", _frozen(new, 2021))])
    with pytest.raises(ConfigurationError, match="with two contents"):
        check_one_set([("a", _frozen(old, 2018)), ("b", _frozen(old, 2021, "other"))])


def test_two_sources_of_one_name_are_refused(archive: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        shutil.copytree(archive / "session-b", tmp_path / folder / "same")
    with pytest.raises(ConfigurationError, match="has the name of"):
        Campaign("c", source=str(tmp_path), deliver=str(tmp_path / "out"), levels=["L1B"]).plan()


def test_what_cannot_be_planned_is_told(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive / "session-b", tmp_path / "session-b")
    shutil.rmtree(tmp_path / "session-b" / "aux")
    (planned,) = Campaign("c", source=str(tmp_path), deliver=str(tmp_path / "out")).plan().planned
    assert "no folder of auxiliary files" in planned.problem
