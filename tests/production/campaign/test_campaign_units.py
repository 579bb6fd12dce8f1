"""Level-1C and Level-2A of a tile are units of their own, and what the GIPPs of a unit were is held to."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from distributed import Client

from s2dask.errors import ConfigurationError
from s2dask.geometry.tiles import tile_corner
from s2dask.graph.unit import Unit
from s2dask.instrument import BANDS
from s2dask.l2a.options import Corrections
from s2dask.production import campaign_work, unit_cost
from s2dask.production.campaign_work import CAMPAIGN_WORKS, TERMS, check_frozen
from s2dask.production.footprint import tile_grid
from s2dask.production.identity import folder_digest
from s2dask.production.order import Order
from s2dask.production.plan_source import StripShape
from s2dask.production.plan_work import TileShape, masks_of, tile_stages
from s2dask.production.runner import Runner
from s2dask.production.tile_list import grid_unit
from s2dask.production.unit_table import StripCut, strip_unit
from s2dask.production.work import Context, Done, Told


def _children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiles: list[str] | None = None, **asked: Any
) -> dict[str, Unit]:
    """Return what a session calls for in a campaign, when the chain would call for a datastrip and two tiles."""
    order = Order(source=str(tmp_path / "s"), out=str(tmp_path), keep=True, **asked)
    shared: Mapping[str, Any] = {
        "order": order.spec(), "to": order.to, "l0": "l0", "images": "l1b", "aux": str(tmp_path), "suffix": "",
        "level": "L1B",
    }  # fmt: skip
    cut = StripCut((6,), 1, shared=shared)
    closing = replace(strip_unit(cut), identity="strip")
    inputs = {"strip": "strip", "aux": folder_digest(str(tmp_path))}
    made = [grid_unit(cut, tile_grid(name), order, inputs) for name in ("28SCB", "28SDB")]
    monkeypatch.setattr(
        campaign_work, "WORKS", {**campaign_work.WORKS, "SESSION": lambda _: Done(Told(), (), (closing, *made))}
    )
    monkeypatch.setattr(unit_cost, "strip_facts", lambda _: StripShape((6,), tuple(BANDS), 1, "raw12", (0, 1)))
    root = Unit(name="SESSION", kind="SESSION", spec={"order": order.spec(), TERMS: {"tiles": tiles, "gipps": ["x"]}})
    done = CAMPAIGN_WORKS["SESSION"](Context(root, Runner(cast("Client", None))))
    return {unit.name: unit for unit in done.children}


def test_an_option_of_l2a_changes_l2a_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = _children(tmp_path, monkeypatch)
    other = _children(tmp_path, monkeypatch, corrections=Corrections(surroundings=False))
    alone = _children(tmp_path, monkeypatch, to="L1C")
    assert list(usual) == ["STRIP", "L1C-T28SCB", "TILE-T28SCB", "L1C-T28SDB", "TILE-T28SDB"]
    assert [usual[n].identity == other[n].identity for n in usual] == [True, True, False, True, False]
    assert list(alone) == ["STRIP", "L1C-T28SCB", "L1C-T28SDB"]
    assert {unit.kind for unit in alone.values()} == {"STRIP", "L1C"}
    assert alone["L1C-T28SCB"].identity == usual["L1C-T28SCB"].identity
    first, last = usual["L1C-T28SCB"], usual["TILE-T28SCB"]
    assert (first.spec["to"], last.spec["to"], first.after, last.after) == (
        "L1C", "L2A", ("STRIP",), ("STRIP", "L1C-T28SCB"),
    )  # fmt: skip
    assert first.spec["l1c"] == last.spec["l1c"]
    assert tile_corner("28SCB")[1] == first.spec["grid"]["x0"]
    assert all(unit.spec[TERMS]["gipps"] == ["x"] for unit in usual.values())
    # both together write the metadata of the datastrip once more than one unit would
    shape = TileShape(tile_grid("28SCB"), tuple(BANDS))
    whole = tile_stages(shape, "L2A", "s2-strict")
    again = sum(not name.startswith("PVI") for name, _ in masks_of("L1C", shape)) - 1  # coded, not linked by one task
    assert first.cost.tasks + last.cost.tasks - 1 == sum(work.count for stage in whole for work in stage) + again
    assert min(first.cost.core_seconds, last.cost.core_seconds) > 100


def test_tiles_that_are_not_wanted_are_not_called_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(_children(tmp_path, monkeypatch, ["28SDB"])) == ["STRIP", "L1C-T28SDB", "TILE-T28SDB"]


@pytest.mark.row("OPS-30")
def test_a_unit_with_other_gipps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class _Set:
        id = "b" * 64

    monkeypatch.setattr(campaign_work, "open_gipps", lambda _l0, _aux: _Set)
    spec = {"l0": "l0.zarr", "aux": "aux", "level": "L1B"}
    check_frozen(spec)
    check_frozen({**spec, TERMS: {"gipps": ["b" * 64]}})
    with pytest.raises(ConfigurationError, match="GIPP set bbbbbbbbbbbb in a campaign that froze aaaaaaaaaaaa"):
        check_frozen({**spec, TERMS: {"gipps": ["a" * 64]}})
