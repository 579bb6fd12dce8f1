"""Names, cuts and dependencies of the units of a session."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dask.errors import ConfigurationError
from s2dask.production.unit_table import MARGIN, StripCut, l0_units, l1b_units, session_unit, strip_unit, tile_units


def test_the_names_are_the_operators_words() -> None:
    strip = StripCut((5, 6), 12)
    l0 = l0_units(strip)
    l1b = l1b_units(strip, l0)
    assert [u.name for u in l1b] == ["L1B-D05-G000-007", "L1B-D06-G000-007", "L1B-D05-G008-011", "L1B-D06-G008-011"]
    assert l1b[0].after == ("L0-D05-G000-007", "L0-D05-G008-011")
    assert strip_unit(strip, l1b).after == tuple(u.name for u in l1b)
    tiles = tile_units(strip, ["T28SCB", "28SCA"])
    assert [u.name for u in tiles] == ["TILE-T28SCB", "TILE-T28SCA"]
    assert tiles[0].after == ("STRIP",)
    assert tiles[0].spec["tile"] == "28SCB"


def test_a_second_datastrip_has_names_of_its_own() -> None:
    first, second = StripCut((1,), 4), StripCut((1,), 4, rank=1)
    names = [
        u.name for s in (first, second) for u in (*l0_units(s), *l1b_units(s), strip_unit(s), *tile_units(s, ["28SCB"]))
    ]
    assert len(names) == len(set(names))
    assert "TILE-2-T28SCB" in names


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 12))
def test_every_granule_is_made_once_and_waits_for_all_that_it_reads(scenes: int, group: int, detectors: int) -> None:
    strip = StripCut(tuple(range(1, detectors + 1)), scenes, group=group)
    l0 = l0_units(strip)
    holds = {u.name: {(u.spec["detector"], k) for k in range(*u.spec["scenes"])} for u in l0}
    made = [(u.spec["detector"], k) for u in l1b_units(strip, l0) for k in range(*u.spec["scenes"])]
    assert sorted(made) == [(d, k) for d in strip.detectors for k in range(scenes)]
    for unit in l1b_units(strip, l0):
        first, stop = unit.spec["scenes"]
        read = {(unit.spec["detector"], k) for k in range(first - MARGIN, stop + MARGIN) if 0 <= k < scenes}
        assert read <= set().union(*(holds[name] for name in unit.after))


def test_only_units_that_move_something_are_there() -> None:
    strip = StripCut((1, 2), 20)
    l0 = l0_units(strip, [(2, 9)])
    assert [u.name for u in l0] == ["L0-D02-G008-015"]
    assert [u.after for u in l1b_units(strip, l0)].count(()) == 3
    assert l0[0].after == (session_unit().name,)


def test_a_cut_into_nothing_is_refused() -> None:
    for wrong in ({"group": 0}, {"scenes": 0}, {"detectors": ()}):
        with pytest.raises(ConfigurationError):
            StripCut(**({"detectors": (1,), "scenes": 4} | wrong))  # type: ignore[arg-type]
