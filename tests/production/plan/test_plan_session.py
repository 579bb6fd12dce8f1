"""The plan of a session that nobody decodes."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from plan_model import pass_of, platform_of, start_of

from s2dask.errors import BudgetError, ConfigurationError, InputMissing
from s2dask.geometry.footprint import datastrip_footprint
from s2dask.geometry.tiles import TILE_SIZE, tiles_of
from s2dask.instrument import SCENE_SECONDS, band
from s2dask.instrument.telemetry import CADU_BYTES
from s2dask.l0.session import survey
from s2dask.l1c.resampling import filter_of
from s2dask.production.footprint import tile_grid
from s2dask.production.forecast import promises, simulate_plan
from s2dask.production.plan import PlannedUnit, plan
from s2dask.production.plan_ground import tile_cover
from s2dask.production.plan_page import headline, plan_sheet, stages_table, tables
from s2dask.production.plan_sample import sample_session
from s2dask.production.plan_source import PlanSource, look_at
from s2dask.production.tile_scenes import tile_scenes
from s2dask.qc.sheet import html
from s2dask.simulate.structure import StructuredChannel, StructureOptions, simulate_structure
from s2dask.simulate.telemetry import write_dsib


def test_what_looks_tell_is_what_the_session_holds(sparse: Path, found: PlanSource) -> None:
    (strip,) = found.strips
    assert (strip.detectors, strip.scenes, strip.codec) == ((5, 6, 7, 8), 40, "ccsds122")
    assert strip.bands == ("B01", "B04", "B12")
    assert strip.sensing[1] - strip.sensing[0] == pytest.approx(40 * SCENE_SECONDS * 1e9, abs=1000)
    assert sum(found.files) == sum(f.stat().st_size for f in sparse.glob("DCS*/ch_*/*.raw"))
    assert found.flags == ()


def test_the_tiles_are_those_of_the_footprint(sparse: Path, found: PlanSource) -> None:
    options = StructureOptions(40, (5, 6, 7, 8), ("B01", "B04", "B12"))
    model, terrain = pass_of(options)
    lines = {(d, n): (0, 40 * band(n).lines_per_scene) for d in options.detectors for n in options.bands}
    footprint = datastrip_footprint(model, lines, terrain)
    tiles = tiles_of(footprint)
    assert found.strips[0].tiles == tuple(tile.name for tile in tiles)
    cover = found.strips[0].cover
    assert all(cover[t.name] == pytest.approx(tile_cover(footprint, t), abs=2e-3) for t in tiles)
    assert max(cover.values()) > 0.6
    # a granule is 24 km wide and 23 km long
    assert all(1 <= n <= 4 * (TILE_SIZE // 23_000 + 3) for n in found.strips[0].granules.values())


def test_units_come_after_what_they_wait_for_and_carry_their_cost(found: PlanSource) -> None:
    made = plan(found, to="L2A")
    seen: set[str] = set()
    for planned in made.units:
        assert set(planned.unit.after) <= seen, planned.unit.name
        seen.add(planned.unit.name)
        assert planned.unit.cost.core_seconds > 0
        assert planned.unit.cost.tasks == sum(w.count for w in planned.works)
    kinds = {kind: n for kind, (n, _) in made.by_kind().items()}
    assert kinds == {"SESSION": 1, "L0": 20, "L1B": 20, "STRIP": 1, "TILE": len(found.strips[0].tiles)}
    assert made.cost.core_seconds == pytest.approx(made.estimate.seconds)
    assert made.estimate.low < made.estimate.seconds < made.estimate.high
    assert sum(s for _, s in made.by_step().values()) == pytest.approx(made.estimate.seconds)
    assert (
        made.cost.pixels
        > made.by_kind()["L1B"][1].pixels
        == 160 * sum(band(n).lines_per_scene * band(n).columns for n in ("B01", "B04", "B12"))
    )


@pytest.mark.parametrize(
    ("to", "kinds"),
    [("L0", {"SESSION", "L0", "STRIP"}), ("L1A", {"SESSION", "L0", "L1A", "STRIP"}),
     ("L1B", {"SESSION", "L0", "L1B", "STRIP"}), ("L1C", {"SESSION", "L0", "L1B", "STRIP", "TILE"})],
)  # fmt: skip
def test_a_plan_ends_at_the_level_that_is_asked_for(found: PlanSource, to: str, kinds: set[str]) -> None:
    assert set(plan(found, to=to).by_kind()) == kinds


def test_slower_codes_cost_more(found: PlanSource) -> None:
    seconds = [plan(found, delivery=d).estimate.seconds for d in ("zarr", "htj2k", "s2-fast", "s2-strict")]  # type: ignore[arg-type]
    assert all(a < b for a, b in pairwise(seconds))


def test_a_unit_above_the_budget_is_refused_with_advice(found: PlanSource) -> None:
    with pytest.raises(BudgetError, match=r"L0-D05-G000-007.*--group 4 scenes a unit fit"):
        plan(_without_files(found), tasks=4)
    with pytest.raises(BudgetError, match=r"GiB on a worker of 0\.2 GiB"):
        plan(found, memory=200 << 20)


def _without_files(found: PlanSource) -> PlanSource:
    """Return a session of so few files that the unit of the session is not what is refused."""
    return replace(found, files=found.files[:1], arrivals=found.arrivals[:1])


def test_a_plan_that_is_split_makes_granules_again_and_needs_less_disk(found: PlanSource) -> None:
    whole, split = plan(found, to="L1C"), plan(found, to="L1C", split=8)
    seen: set[str] = set()
    for planned in split.units:
        assert set(planned.unit.after) <= seen, planned.unit.name
        seen.add(planned.unit.name)
    assert sorted(split.tiles) == sorted(whole.tiles)
    kinds = {kind: n for kind, (n, _) in split.by_kind().items()}
    assert (kinds["CLEAN"], kinds["STRIP"], kinds["L0"]) == (5, 6, whole.by_kind()["L0"][0])
    made = {kind: cost.pixels for kind, (_, cost) in split.by_kind().items()}
    assert 1.0 < made["L1B"] / whole.by_kind()["L1B"][1].pixels < 3.0
    assert made["TILE"] == whole.by_kind()["TILE"][1].pixels
    disk = [simulate_plan(one, 2) for one in (whole, split)]
    assert disk[1].disk < disk[0].disk
    assert disk[1].delivered == pytest.approx(disk[0].delivered)


def test_scenes_of_a_tile_are_nearly_those_that_a_run_takes(found: PlanSource) -> None:
    """The plan looks at the granules of one band, a run at the lines of all."""
    options = StructureOptions(40, found.strips[0].detectors, found.strips[0].bands)
    model, _ = pass_of(options)
    lines = {name: 40 * band(name).lines_per_scene for name in options.bands}
    for tile in found.strips[0].tiles:
        exact = tile_scenes(model, tile_grid(tile), lines, options.detectors, filter_of("bspline"))
        first, stop = found.strips[0].needs[tile]
        assert exact is not None
        assert abs(exact[0] - first) <= 2, tile
        assert abs(exact[1] - stop) <= 2, tile


def test_what_makes_no_sense_is_refused(found: PlanSource, sparse: Path, tmp_path: Path) -> None:
    for wrong in ({"split": 0}, {"to": "L3"}, {"delivery": "png"}, {"tiles": ["28SCB"]}):
        with pytest.raises(ConfigurationError):
            plan(found, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputMissing, match="nothing there"):
        plan(str(tmp_path / "no"))
    with pytest.raises(InputMissing, match="aux"):
        look_at(str(sparse), str(tmp_path / "no"))


def test_one_tile_of_it(found: PlanSource) -> None:
    name = found.strips[0].tiles[3]
    made = plan(found, tiles=[f"T{name}"])
    assert made.tiles == (name,)
    tile: PlannedUnit = made.units[-1]
    assert tile.unit.name == f"TILE-T{name}"
    assert tile.unit.after == ("STRIP",)


def test_the_plan_is_told_in_tables_json_and_on_a_page(found: PlanSource) -> None:
    made = plan(found)
    facts: Mapping[str, object] = json.loads(json.dumps(made.facts()))
    assert len(facts["units"]) == len(made.units)  # type: ignore[arg-type]
    assert [title for title, _, _ in tables(made)] == ["Datastrips", "Units", "Steps", "Tiles"]
    assert all(len(row) == len(header) for _, header, rows in tables(made) for row in rows)
    page = html(plan_sheet(made))
    assert headline(made) in page.replace("&#39;", "'")
    assert "no run measured here" in page


def test_two_datastrips_are_told_apart(tmp_path: Path) -> None:
    """Two passes of other times in one session: the break is found although no look falls on it."""
    first, later = (StructureOptions(n, (6, 7), ("B04",)) for n in (10, 13))
    whole = Path(simulate_structure(str(tmp_path / "session"), first))
    session = next(whole.glob("DCS*")).name.removeprefix("DCS_01_").removesuffix("_dat")
    gap = 47_123_456_789
    for number in (1, 2):
        folder = whole / f"DCS_01_{session}_dat" / f"ch_{number}"
        parts = [_channel(first, number, 0), _channel(later, number, gap)]
        frames = np.concatenate([part.make(0, part.frames) for part in parts])
        for old in folder.glob("*.raw"):
            old.unlink()
        names = []
        for k in range(0, len(frames), 3_000):
            names.append(f"DCS_01_{session}_ch{number}_DSDB_{len(names) + 1:05d}.raw")
            (folder / names[-1]).write_bytes(frames[k : k + 3_000].tobytes())
        write_dsib(folder, session, number, names, frames.size, (0, 1))
    found = sample_session(survey(str(whole)))
    assert [s.scenes for s in found.strips] == [10, 13]
    (_, stop), (start, _) = (s.sensing for s in found.strips)
    assert start - stop == pytest.approx(gap, abs=1e7)
    assert found.bytes % CADU_BYTES == 0
    assert found.read < found.bytes
    assert found.flags == ()


def _channel(options: StructureOptions, number: int, later: int) -> StructuredChannel:
    long = replace(options, scenes=10)
    start = start_of(long) + (later + round(10 * SCENE_SECONDS * 1e9) if later else 0)
    return StructuredChannel(options, number, start, platform_of(long))


def test_a_lost_end_shows(sparse: Path, tmp_path: Path) -> None:
    state = survey(str(sparse))
    cut = replace(state, blocks=tuple(b for b in state.blocks if b.number < 4))
    (strip,) = sample_session(cut).strips
    assert strip.scenes < 40


@pytest.mark.slow
@pytest.mark.row("PS-04")
def test_sixty_gigabytes_are_planned_within_a_minute(tmp_path: Path) -> None:
    folder = simulate_structure(str(tmp_path / "session"))
    begun = time.process_time()
    made = plan(folder)
    assert time.process_time() - begun < 60
    (strip,) = made.source.strips
    assert sum(made.source.files) > 59e9
    assert (strip.scenes, len(strip.detectors), len(strip.bands)) == (255, 12, 13)
    assert 270 <= len(made.tiles) <= 320
    assert max(p.unit.cost.tasks for p in made.units) < 1000
    used = sum(f.stat().st_blocks * 512 for f in Path(folder).rglob("*") if f.is_file())
    assert used < 500e6
    kept = list(promises(made.source, reception=900.0, levels=("L2A",), deliveries=("s2-strict", "htj2k")))
    for promise in kept:
        assert promise.cores is not None
        assert list(promise.stages) == ["SESSION", "L0", "L1B", "STRIP", "TILE"]
        ends = [end for _, end in promise.stages.values()]
        assert max(ends) == promise.seconds <= promise.limit
        assert all(begin < end for begin, end in promise.stages.values())
    title, header, rows = stages_table(kept)
    assert title.startswith("Stages")
    assert {len(row) for row in rows} == {len(header)}
    assert [promise.cores for promise in kept] == [16, 7]
