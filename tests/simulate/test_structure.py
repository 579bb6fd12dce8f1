"""Sessions of full size that are mostly holes."""

from pathlib import Path

import numpy as np
import pytest

from s2dask.auxdata.time import NANO, utc_to_gps
from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, SCENE_SECONDS
from s2dask.l0.session import scan_session
from s2dask.l0.stage import decode_file, plan_strips
from s2dask.simulate.mission import DATE
from s2dask.simulate.platform import synthetic_platform
from s2dask.simulate.structure import StructuredChannel, StructureOptions, simulate_structure

_SMALL = StructureOptions(scenes=2, detectors=(6, 7), bands=("B01", "B09", "B10"), frames_per_file=2_000)


def test_a_short_session_has_no_hole_and_is_decoded_whole(tmp_path: Path) -> None:
    folder = simulate_structure(str(tmp_path / "session"), _SMALL)
    session = scan_session(folder)
    files = [(path, channel.number) for channel in session.channels for path in channel.files]
    results = [decode_file(path, number, str(tmp_path)) for path, number in files]
    (plan,) = plan_strips(results, session.id, str(tmp_path))
    assert (plan.detectors, plan.bands, plan.scenes, plan.codec) == ((6, 7), _SMALL.bands, 2, "ccsds122")
    assert plan.counters["lost_packets"] == plan.counters["degraded_packets"] == 0
    assert plan.counters["missing_frames"] == plan.counters["uncorrectable_frames"] == 0
    assert plan.degraded == ()
    assert plan.counters["packets"] == 2 * 2 * sum(BANDS[n].packets_per_scene for n in _SMALL.bands)


def test_any_cut_of_a_channel_is_the_same(tmp_path: Path) -> None:
    folder = Path(simulate_structure(str(tmp_path / "session"), _SMALL))
    files = sorted(folder.glob("DCS*/ch_2/*.raw"))
    whole = np.concatenate([np.fromfile(f, np.uint8) for f in files]).reshape(-1, 2044)
    middle = utc_to_gps(DATE)
    length = round(_SMALL.scenes * SCENE_SECONDS * NANO)
    platform = synthetic_platform(middle, length / NANO, *_SMALL.centre, _SMALL.seed, 3e-7)
    channel = StructuredChannel(_SMALL, 2, middle - length // 2, platform)
    assert channel.frames == len(whole)
    for first, last in ((0, 10), (7, 40), (100, 101), (len(whole) - 900, len(whole))):
        assert np.array_equal(channel.make(first, last), whole[first:last])


def test_a_long_one_takes_little_room(tmp_path: Path) -> None:
    options = StructureOptions(scenes=40, detectors=(1, 2, 11, 12), bands=("B01", "B04", "B12"))
    folder = Path(simulate_structure(str(tmp_path / "session"), options))
    files = list(folder.glob("DCS*/ch_*/*.raw"))
    assert sum(f.stat().st_blocks * 512 for f in files) < 0.3 * sum(f.stat().st_size for f in files)
    assert sum(c.bytes for c in scan_session(str(folder)).channels) == sum(f.stat().st_size for f in files)


@pytest.mark.parametrize(
    "wrong", [{"scenes": 0}, {"detectors": (13,)}, {"bands": ("B13",)}, {"unit": "S2Z"}, {"frames_per_file": 3}]
)
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        StructureOptions(**wrong)  # type: ignore[arg-type]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ConfigurationError, match="something else"):
        simulate_structure(str(tmp_path), _SMALL)
