"""Files of a simulated session that are lost, late or mixed up, down to the quality layer of L1B."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from system_model import cut_files

from s2dask.cluster.local import local_client
from s2dask.errors import InputMissing
from s2dask.instrument import band
from s2dask.instrument.quality import MSI_LOST, NODATA
from s2dask.instrument.telemetry import MPDU_ZONE_BYTES, apid
from s2dask.io.schema import image_path, mask_path, packet_path
from s2dask.io.storage import open_array
from s2dask.production import strip
from s2dask.production.arrival import Arrival
from s2dask.production.chain import run
from s2dask.production.runner import Runner
from s2dask.production.setting import open_setting
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate
from s2dask.simulate.telemetry import IDLE_LEAD

BANDS = ("B01", "B09")
OPTIONS = SimulationOptions(detectors=(6, 7), bands=BANDS, window=600, scenes=2, seed=4, codec="raw12")
FRAMES = 300
"""In a file; the simulator's own are larger than the session."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate two detectors on two channels, two bands, two scenes."""
    return Path(simulate(str(tmp_path_factory.mktemp("losses") / "session"), OPTIONS))


@pytest.fixture(scope="module")
def files(session: Path) -> dict[int, list[Path]]:
    """Return its files, 300 frames each."""
    return cut_files(session, FRAMES)


@pytest.fixture
def moved(session: Path, files: dict[int, list[Path]], tmp_path: Path) -> Iterator[Path]:
    """Take a file out of the middle of channel 2 for the time of a test."""
    path, aside = files[2][2], tmp_path / "aside"
    path.rename(aside)
    yield aside
    aside.rename(path)


def _lost_packets(detector: int, name: str, first: int, stop: int) -> np.ndarray:
    """Return which packets of a band touch frames [first, stop) of a channel, from the order in which they are sent."""
    per, size = band(name).packets_per_scene, 31_220
    order = []
    for scene in range(2):
        rows = [(k, apid(detector, band(n).index), n) for n in BANDS for k in range(per)]
        order += [(scene, k, n) for k, _, n in sorted(rows)]
    out = np.zeros(2 * per, bool)
    for rank, (scene, k, n) in enumerate(order):
        begin, end = rank * size // MPDU_ZONE_BYTES, ((rank + 1) * size - 1) // MPDU_ZONE_BYTES
        if n == name and begin + IDLE_LEAD < stop and end + IDLE_LEAD >= first:
            out[scene * per + k] = True
    return out


def _read(store: str, path: str) -> np.ndarray:
    return np.asarray(open_array(store, path)[...])


def _l1b(l0: str, l1b: str, aux: str) -> None:
    strip.strip_facts.cache_clear()
    strip.start_l1b(l0, l1b)
    gipps = open_setting(l0, aux).gipps
    for d in (6, 7):
        for scene in range(2):
            strip.write_scene(l0, l1b, gipps, d, scene)


def test_a_missing_file_is_an_error_unless_gaps_are_allowed(session: Path, moved: Path, tmp_path: Path) -> None:
    with local_client(1, dashboard=False) as client:
        with pytest.raises(InputMissing, match=r"DSDB_00003\.raw: listed in"):
            run(str(session), client=client, to="L0", out=str(tmp_path / "strict"))
        summary = run(str(session), client=client, to="L0", out=str(tmp_path / "out"), allow_gaps=True)
    (store,) = [p for p in summary.products if p.endswith(".zarr")]
    facts: Any = zarr.open_group(store, mode="r").attrs["s2dask"]
    assert facts["missing_file_frames"] == facts["counters"]["missing_frames"] == FRAMES
    assert [name[-14:] for name in facts["missing_files"]] == ["DSDB_00003.raw"]
    assert facts["gaps"] == [[20, 2 * FRAMES - IDLE_LEAD - 1, FRAMES]]
    assert summary.notes()[0].startswith("assumed: 1 files, 300 frames, did not come")


@pytest.mark.row("IPF-01")
def test_a_late_file_mends_its_granules_and_no_other(session: Path, moved: Path, tmp_path: Path) -> None:
    aux, l0, l1b = str(session / "aux"), str(tmp_path / "l0.zarr"), str(tmp_path / "l1b.zarr")
    work = tmp_path / "packets"
    work.mkdir()
    with local_client(1, dashboard=False) as client:
        arrival = Arrival(str(session), str(work), Runner(client))
        arrival.look()
        assert arrival.state is not None
        closed = [arrival.state.complete]
        assert [len(strip.granules) for strip in arrival.update(aux, l0)] == [2 * 2 * 2]
        lost = {n: _lost_packets(6, n, 2 * FRAMES, 3 * FRAMES) for n in BANDS}
        for name in BANDS:
            np.testing.assert_array_equal(_read(l0, f"{packet_path(6, name)}/status") == 1, lost[name])
            assert not _read(l0, f"{packet_path(7, name)}/status").any()
        _l1b(l0, l1b, aux)
        for name in BANDS:
            mask, counts = (_read(l1b, path(6, name)) for path in (mask_path, image_path))
            lines = np.repeat(lost[name], 16)
            np.testing.assert_array_equal(((mask & MSI_LOST) != 0).all(1), lines)
            np.testing.assert_array_equal(((mask & MSI_LOST) != 0).any(1), lines)
            np.testing.assert_array_equal(counts == 0, (mask & NODATA) != 0)
            assert (mask[lines] & NODATA).all()
            assert not (_read(l1b, mask_path(7, name)) & MSI_LOST).any()
        stamps = {p: p.stat().st_mtime_ns for p in Path(l0).rglob("*") if p.is_file() and "/c/" in str(p)}
        (name,) = arrival.state.missing
        target = session / "late" / name
        target.parent.mkdir()
        target.write_bytes(moved.read_bytes())
        try:
            assert [b.name for b in arrival.look()] == [name]
            closed.append(arrival.state.complete)
            (strip_update,) = arrival.update(aux, l0)
        finally:
            target.unlink()
    assert closed == [False, True]
    mended = {(6, n, s) for n in BANDS for s in range(2) if lost[n][24 * s : 24 * s + 24].any()}
    assert set(strip_update.granules) == mended
    assert not any(_read(l0, f"{packet_path(d, n)}/status").any() for d in (6, 7) for n in BANDS)
    after = {p: p.stat().st_mtime_ns for p in Path(l0).rglob("*") if p.is_file() and "/c/" in str(p)}
    touched = {str(p.relative_to(l0)) for p in after if after[p] != stamps.get(p) and "measurements" in str(p)}
    assert touched
    assert all("d06" in p for p in touched)


@pytest.mark.row("IPF-01")
def test_files_under_each_others_names_give_the_same_packets(
    session: Path, files: dict[int, list[Path]], tmp_path: Path
) -> None:
    aux, stores = str(session / "aux"), []
    a, b = files[2][1], files[2][3]
    for kind in ("straight", "swapped"):
        if kind == "swapped":
            one, other = a.read_bytes(), b.read_bytes()
            a.write_bytes(other), b.write_bytes(one)
        work = tmp_path / kind
        work.mkdir()
        with local_client(1, dashboard=False) as client:
            arrival = Arrival(str(session), str(work), Runner(client))
            stores.append(str(tmp_path / f"{kind}.zarr"))
            arrival.update(aux, stores[-1])
    a.write_bytes(one), b.write_bytes(other)
    for d in (6, 7):
        for name in BANDS:
            where = f"{packet_path(d, name)}/packets"
            straight, swapped = (_read(store, where) for store in stores)
            assert straight.any()
            np.testing.assert_array_equal(straight, swapped)
