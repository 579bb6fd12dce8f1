"""The instrument tables: sizes, orders and the link's numbering."""

import pytest

from s2dask.errors import ConfigurationError
from s2dask.instrument import BANDS, DETECTORS, UNITS, band, bands_of, unit
from s2dask.instrument.telemetry import CADU_BYTES, MPDU_ZONE_BYTES, apid, detector_and_band


def test_order_and_groups_of_bands() -> None:
    assert " ".join(BANDS) == "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12"
    assert bands_of(10) == ("B02", "B03", "B04", "B08")
    assert bands_of(60) == ("B01", "B09", "B10")
    assert [b.index for b in BANDS.values()] == list(range(13))


@pytest.mark.parametrize("name", list(BANDS))
def test_sizes_are_consistent(name: str) -> None:
    b = band(name)
    assert b.packets_per_scene == {10: 144, 20: 72, 60: 24}[b.resolution]
    assert b.useful_columns == {10: 2552, 20: 1276, 60: 1276}[b.resolution]
    assert b.columns == b.useful_columns // b.binning
    # 16 lines at the fixed rate plus 116 bytes of heads and check sum
    field = 4 * round(16 * b.raw_columns * 1.5 / b.compression_rate / 4)
    assert b.packet_length == field + 116


def test_every_unit_has_every_band() -> None:
    for u in UNITS.values():
        assert set(u.bands) == set(BANDS)
        assert all(0.3 < b.psf_sigma_lines < 0.7 and b.gain > 1 for b in u.bands.values())
    assert unit("S2D").bands["B02"].assumed


def test_relative_orbits_of_real_products() -> None:
    assert unit("S2A").relative_orbit(26904) == 23
    assert unit("S2A").relative_orbit(12840) == 116
    assert unit("S2B").relative_orbit(20270) == 81
    assert unit("S2B").relative_orbit(26649) == 25


def test_apid_is_a_bijection_and_matches_the_real_packet() -> None:
    seen = {apid(d, i): (d, i) for d in DETECTORS for i in range(13)}
    assert len(seen) == 156
    assert all(detector_and_band(a) == key for a, key in seen.items())
    assert apid(1, 0) == 336
    assert detector_and_band(774) is None


def test_frame_arithmetic() -> None:
    assert CADU_BYTES == 4 + 8 * 255
    assert MPDU_ZONE_BYTES == 1904


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="B13"):
        band("B13")
    with pytest.raises(ConfigurationError, match="S2A, S2B, S2C, S2D"):
        unit("S2E")
