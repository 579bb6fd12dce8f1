"""The selection rules: each against a slow plain statement of it, in any order of arrival; complete sets of bands."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.auxdata.gipp_set import GippFile
from s2dask.auxdata.selection import RULES, AuxFile, check_bands, select
from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import BANDS

T0, T1 = datetime(2020, 8, 16, 12, tzinfo=UTC), datetime(2020, 8, 16, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _file(kind: str, band: str, unit: str, creation: datetime, start: datetime, stop: datetime) -> GippFile:
    dates = [f"{d:%Y%m%dT%H%M%S}" for d in (creation, start, stop)]
    found = GippFile.from_path(Path(f"{unit}_OPER_GIP_{kind}_MPC__{dates[0]}_V{dates[1]}_{dates[2]}_{band}.DBL"))
    assert found is not None
    return found


_HOURS = st.integers(-4, 6).map(lambda n: T0 + n * HOUR)
_SPANS = st.tuples(_HOURS, _HOURS).map(lambda pair: (min(pair), max(pair)))
FILES = st.lists(
    st.builds(
        lambda kind, band, unit, creation, span: _file(kind, band, unit, creation, *span),
        st.sampled_from(["R2EQOG", "R2ABCA"]),
        st.sampled_from(["B00", "B8A"]),
        st.sampled_from(["S2A", "S2B", "S2_"]),
        _HOURS,
        _SPANS,
    ),
    max_size=24,
    unique_by=lambda f: f.name,
)
MARGINS = st.integers(0, 2).map(lambda n: n * HOUR)

Files = list[GippFile]


def _newer(a: GippFile, b: GippFile) -> bool:
    return (a.creation, a.name) > (b.creation, b.name)


def _no_better(files: Sequence[GippFile], better: Callable[[GippFile, GippFile], bool]) -> Files:
    """Return the file than which no other is better, or as good and newer."""
    return [
        f for f in files if not any(better(g, f) or (not better(f, g) and _newer(g, f)) for g in files if g is not f)
    ]


def _covering(files: Files, a: datetime, b: datetime) -> Files:
    return [f for f in files if f.start <= a and f.stop >= b]


def _touching(files: Files, a: datetime, b: datetime) -> Files:
    return [f for f in files if not (f.stop < a or f.start > b)]


def _seconds(f: GippFile, a: datetime, b: datetime) -> float:
    return (min(f.stop, b) - max(f.start, a)).total_seconds()


def _newest(files: Files) -> Files:
    return _no_better(files, lambda _f, _g: False)


def _nearest(files: Files, date: datetime, end: str = "start") -> Files:
    def distance(f: GippFile) -> float:
        moment: datetime = getattr(f, end)
        return abs((moment - date).total_seconds())

    return _no_better(files, lambda f, g: distance(f) < distance(g))


def _unique(files: Files) -> Files:
    return [f for f in files if not any((g.start, g.stop) == (f.start, f.stop) and _newer(g, f) for g in files)]


def _all_covered(files: Files, a: datetime, b: datetime) -> bool:
    """Whether each half hour, and each moment in between, is covered: every validity is of whole hours."""
    step = timedelta(minutes=30)
    moments = [a + n * step for n in range(int((b - a) / step) + 1)]
    return all(any(f.start <= m <= f.stop for f in files) for m in moments)


def _overlapping(files: Files, a: datetime, b: datetime) -> Files:
    touching = _touching(files, a, b)
    most = [f for f in touching if not any(_seconds(g, a, b) > _seconds(f, a, b) for g in touching)]
    return _nearest(most, a)


PLAIN: dict[str, Callable[[Files, datetime, datetime], Files]] = {
    "ValCover": _covering,
    "LatestValCover": lambda f, a, b: _newest(_covering(f, a, b)),
    "ValIntersect": _touching,
    "ValIntersectWithoutDuplicates": lambda f, a, b: _unique(_touching(f, a, b)),
    "LatestValIntersect": lambda f, a, b: _newest(_touching(f, a, b)),
    "LatestValidity": lambda f, _a, _b: _no_better(f, lambda g, h: g.start > h.start),
    "LatestValidityClosest": lambda f, a, b: _nearest(f, a + (b - a) / 2),
    "BestCenteredCover": lambda f, a, b: _no_better(
        _covering(f, a, b), lambda g, h: min(a - g.start, g.stop - b) > min(a - h.start, h.stop - b)
    ),
    "LatestValCoverClosest": lambda f, a, b: _nearest(_covering(f, a, b), a),
    "LargestOverlap": _overlapping,
    "LargestOverlap85": lambda f, a, b: [
        g for g in _overlapping(f, a, b) if _seconds(g, a, b) >= 0.85 * (b - a).total_seconds()
    ],
    "LatestValCoverNewestValidity": lambda f, a, b: (
        _newest(_covering(f, a, b)) or _no_better(f, lambda g, h: g.start > h.start)
    ),
    "ClosestStartValidity": lambda f, a, _b: _nearest(f, a),
    "ClosestStopValidity": lambda f, _a, b: _nearest(f, b, "stop"),
    "LatestStartValidity": lambda f, _a, _b: _no_better(f, lambda g, h: g.start > h.start),
    "LatestStopValidity": lambda f, _a, _b: _no_better(f, lambda g, h: g.stop > h.stop),
    "LatestGeneration": lambda f, _a, _b: _newest(f),
    "FullCoverage": lambda f, a, b: _unique(_touching(f, a, b)) if _all_covered(_touching(f, a, b), a, b) else [],
}
"""Each rule as it is stated, by comparing every file with every other."""


@pytest.mark.row("OPS-07")
@pytest.mark.parametrize("rule", sorted(RULES))
@settings(max_examples=60, deadline=None)
@given(FILES, MARGINS, MARGINS, st.randoms(use_true_random=False))
def test_a_rule_by_its_statement_in_any_order(
    rule: str, files: Files, before: timedelta, after: timedelta, random: Random
) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)
    found = select(shuffled, rule, "S2A", T0, T1, before, after)
    for key in {(f.type, f.band) for f in files}:
        group = [f for f in files if (f.type, f.band) == key and f.unit in ("S2A", "S2_")]
        expected = sorted(PLAIN[rule](group, T0 - before, T1 + after), key=lambda f: (f.creation, f.name))
        assert list(found.get(key, ())) == expected
    assert found == select(files, rule, "S2A", T0, T1, before, after)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ValCover", "R2 R3"),
        ("LatestValCover", "R3"),
        ("ValIntersect", "R1 R2 R3 R4"),
        ("LatestValIntersect", "R4"),
        ("LatestValidityClosest", "R4"),
        ("BestCenteredCover", "R3"),
        ("LatestValCoverClosest", "R2"),
        ("LatestValidity", "R6"),
    ],
)
def test_the_published_scenario(rule: str, expected: str) -> None:
    """What the interface specification says that its rules give for the files of its figure B-1; the dates are ours."""
    rows = {"R1": (8, 18), "R2": (15, 26), "R3": (13, 26), "R4": (19, 27), "R5": (11, 14), "R6": (24, 29)}
    files = {
        name: _file("R2ABCA", "B00", "S2A", datetime(2013, 3, 20 + n), datetime(2009, 12, a), datetime(2009, 12, b))
        for n, (name, (a, b)) in enumerate(rows.items(), 1)
    }
    found = select(files.values(), rule, "S2A", datetime(2009, 12, 17), datetime(2009, 12, 22))
    names = {f.name: name for name, f in files.items()}
    assert " ".join(sorted(names[f.name] for f in found["R2ABCA", "B00"])) == expected


def test_each_band_and_unit_by_itself() -> None:
    files = [
        _file("R2EQOG", band, unit, T0 + n * HOUR, T0 - HOUR, T1 + HOUR)
        for n, band in enumerate(BANDS)
        for unit in ("S2A", "S2B")
    ]
    found = select(files, "LatestValCover", "S2B", T0, T1)
    assert set(found) == {("R2EQOG", band) for band in BANDS}
    assert {f.unit for (f,) in found.values()} == {"S2B"}
    check_bands(found, ["R2EQOG"], "here")
    del found["R2EQOG", "B8A"], found["R2EQOG", "B10"]
    with pytest.raises(InputMissing, match=r"here: no R2EQOG of B8A, B10; add the 2 missing of its 13 files"):
        check_bands(found, ["R2EQOG"], "here")


def test_an_interval_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="rule 'Newest'"):
        select([], "Newest", "S2A", T0, T1)
    with pytest.raises(ConfigurationError, match="a margin is negative"):
        select([], "ValCover", "S2A", T0, T1, -HOUR)
    with pytest.raises(ConfigurationError, match="ends before it begins"):
        select([], "ValCover", "S2A", T1, T0)


def test_auxiliary_files_that_are_no_gipps(reference_data: Path) -> None:
    names = [
        "S2__OPER_AUX_ECMWFD_ADG__20221010T120000_V20221010T210000_20221012T150000",
        "S2__OPER_AUX_ECMWFD_ADG__20230625T120000_V20230625T210000_20230627T150000",
        "S2__OPER_AUX_CAMSFO_ADG__20221010T120000_V20221010T120000_20221012T130000",
        "S2__OPER_AUX_UT1UTC_PDMC_20220407T000000_V20220408T000000_20230407T000000.TGZ",
    ]
    paths = [*map(Path, names), *(reference_data / "ops/aux").glob("*AUX_UT1UTC*")]
    files = [f for f in map(AuxFile.from_path, paths) if f is not None]
    assert len(files) == 5
    found = select(files, "LatestValCover", "S2C", datetime(2022, 10, 11, 6), datetime(2022, 10, 11, 7))
    assert {kind: one[0].creation.day for (kind, _), one in found.items()} == {
        "AUX_CAMSFO": 10,
        "AUX_ECMWFD": 10,
        "AUX_UT1UTC": 7,
    }
    assert (
        AuxFile.from_path(Path("S2A_OPER_GIP_R2ABCA_MPC__20200801T000000_V20150622T000000_21000101T000000_B00")) is None
    )
    with pytest.raises(InputError, match="impossible date"):
        AuxFile.from_path(Path(names[0].replace("20221010T12", "20221310T12")))
