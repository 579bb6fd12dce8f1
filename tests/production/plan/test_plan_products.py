"""Plans of what is there already, L0 stores, L1B and L1C products; and that a plan counts the tasks that a run has."""

from datetime import UTC, datetime
from pathlib import Path

import ortho_model
import pytest
from l1_store_model import strip_store
from release_model import GRID, make_l1c, make_l2a

from s2dask.errors import ConfigurationError, InputError
from s2dask.graph.cost import shipped_costs
from s2dask.graph.tasks import Outcome, TaskGraph
from s2dask.instrument import BANDS
from s2dask.production.blocks import default_blocking
from s2dask.production.footprint import tile_grid, tiles_of
from s2dask.production.levels import TilePlan, add_l1c, add_l2a
from s2dask.production.plan import plan
from s2dask.production.plan_measure import Made, samples_of
from s2dask.production.plan_source import look_at
from s2dask.production.plan_work import TileShape, images_of, masks_of, tile_stages
from s2dask.production.setting import open_setting
from s2dask.production.strip import strip_facts
from s2dask.release.safe_l1ab import write_safe_l1ab
from s2dask.release.tile import TileRelease, release_tile


def test_the_tasks_of_a_tile_are_those_of_its_graph() -> None:
    grid = tile_grid("28SCB")
    graph, made = TaskGraph(), TilePlan(grid, default_blocking(grid), "l1c.zarr", "l2a.zarr")
    add_l2a(graph, made, "l1c.zarr", None, (add_l1c(graph, made, "l0.zarr", "l1b.zarr", None),))
    stages = tile_stages(TileShape(grid, tuple(BANDS)), "L2A", "zarr")
    counted = [work.step.split("-", maxsplit=1)[0] for stage in stages for work in stage for _ in range(work.count)]
    processing = sorted(step for step in counted if not step.startswith("FORMAT_"))
    assert processing == sorted(key.split("-", maxsplit=1)[0] for key in graph.keys)


def test_the_files_of_a_delivery_are_those_of_its_products(tmp_path: Path) -> None:
    l1c, l2a = make_l1c(tmp_path / "l1c.zarr"), make_l2a(tmp_path / "l2a.zarr")
    shape = TileShape(GRID, tuple(BANDS))
    for level, what in (("L1C", TileRelease(l1c)), ("L2A", TileRelease(l2a, l1c))):
        planned = [name for name, _ in (*images_of(level, shape), *masks_of(level, shape))]
        assert sorted(planned) == sorted(str(piece) for piece in what.pieces)


def test_an_l0_store_is_planned_exactly(tmp_path: Path, reference_data: Path) -> None:
    session = ortho_model.make_session(tmp_path, reference_data / "geometry")
    made = plan(session.l0, to="L2A")
    assert made.source.kind == "l0"
    assert made.tiles == tiles_of(open_setting(session.l0), strip_facts(session.l0))
    assert {kind: n for kind, (n, _) in made.by_kind().items()} == {"L1B": 2, "STRIP": 1, "TILE": len(made.tiles)}
    assert all(unit.unit.after == () for unit in made.units if unit.unit.kind == "L1B")
    with pytest.raises(InputError, match="store of L1B"):
        plan(strip_store(tmp_path / "other"))


def test_an_l1b_product_is_planned_by_its_metadata(tmp_path: Path) -> None:
    product = write_safe_l1ab(strip_store(tmp_path), tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    found = look_at(str(product), located=False)
    (strip,) = found.strips
    assert (found.kind, found.unit, strip.detectors, strip.bands, strip.scenes) == (
        "l1b",
        "S2A",
        (6, 7),
        ("B09", "B12"),
        2,
    )
    made = plan(found, to="L1C")
    assert [p.unit.name for p in made.units] == ["IMPORT"]
    assert made.cost.tasks == 4
    with pytest.raises(ConfigurationError, match="can go to L1C or L2A"):
        plan(found, to="L0")


def test_an_l1c_product_is_one_tile(tmp_path: Path) -> None:
    paths = release_tile(TileRelease(make_l1c(tmp_path / "l1c.zarr")), str(tmp_path / "out"))
    safe = next(path for path in paths if path.endswith(".SAFE"))
    made = plan(safe, to="L2A")
    (tile,) = made.units
    assert (tile.unit.name, tile.unit.kind, tile.unit.after) == ("TILE-T28SCB", "TILE", ())
    steps = set(made.by_step())
    assert "L2A_AC" in steps
    assert "TILE_INIT" not in steps
    assert 0.9 < tile.unit.spec["cover"] <= 1.0
    with pytest.raises(ConfigurationError, match="only go to L2A"):
        plan(safe, to="L1C")


def test_the_tasks_of_a_run_are_measured_by_step_and_size() -> None:
    grid = tile_grid("28SCB")
    made = Made(tuple(BANDS), "ccsds122", {"T28SCB": grid}, "htj2k")
    record = {"b02.pixels": 13e6, "b02.unseen": 3e6, "b03.pixels": 13e6, "b03.unseen": 0.0}
    tasks = {
        "RADIO_AB-D05-G001": {}, "GEN_ORTHO_TOA-T28SCB-r10m-0-1": record, "L2A_AC-T28SCB-r20m-2-2": {},
        "FORMAT_IMG-L1C-T28SCB-TCI-10m": (0, 0), "FORMAT_IMG-L2A-T28SCB-CLDPRB-20m": (0, 0),
        "FORMAT_IMG-L1C-T28SCB-B05-20m": (0, 0), "TILE_INIT-T28SCB": {}, "QL_GEO-T28SCB": {},
        "MASK_S2-T31TCJ-r60m-0-0": {},
    }  # fmt: skip
    outcomes = [Outcome(key, key.split("-", maxsplit=1)[0], result, 9.0, 5, 2.0) for key, result in tasks.items()]
    found = {s.step: s for s in samples_of(outcomes, made)}
    assert set(found) == {
        "RADIO_AB", "GEN_ORTHO_TOA-r10m", "L2A_AC", "FORMAT_TCI-htj2k", "FORMAT_MASK-htj2k-r20m", "FORMAT_IMG-htj2k",
        "TILE_INIT",
    }  # fmt: skip
    assert set(found) <= set(shipped_costs().steps)
    cover = 23 / 26
    assert found["GEN_ORTHO_TOA-r10m"].mega == pytest.approx(23.0)
    assert found["L2A_AC"].mega == pytest.approx(cover * 1.83**2)
    assert found["FORMAT_TCI-htj2k"].mega == pytest.approx(cover * 3 * 10.98**2)
    assert found["FORMAT_IMG-htj2k"].mega == pytest.approx(cover * 5.49**2)
    assert all(s.seconds == 2.0 for s in found.values())
