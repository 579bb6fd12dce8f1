"""The geometric GIPPs: every real file of three units, the choice of the TDI list, fields that cannot be."""

import re
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from s2dask.auxdata.gipp_container import read_gipp
from s2dask.auxdata.gipp_geometry import FrameRotation, read_prdloc, read_spamod, read_viedir
from s2dask.auxdata.gipp_radiometry import read_blindp
from s2dask.auxdata.gipp_set import GippFile
from s2dask.errors import InputError
from s2dask.instrument import BANDS, band

UNITS = ("S2A", "S2B", "S2C")
WITH_TDI = ("B03", "B04", "B11", "B12")
"""GIPP schema, A_BAND_NUMBER_WITH_TDI: index 2, 3, 11, 12."""


def archives(folder: Path, unit: str, kind: str) -> list[Path]:
    return sorted(folder.glob(f"gipp_tgz/{unit}/GIP_{kind}/*.TGZ"))


def archive(folder: Path, unit: str, kind: str, name: str = "B00") -> Path:
    return next(p for p in archives(folder, unit, kind) if p.stem.endswith(name))


def altered(tmp_path: Path, source: Path, change: Callable[[str], str]) -> Path:
    """Write a real file with a change as plain XML."""
    path = tmp_path / f"{source.stem}.xml"
    before = read_gipp(source).decode("utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, "utf-8")
    return path


@pytest.mark.parametrize("unit", UNITS)
def test_every_real_viewing_direction_reads(reference_data: Path, unit: str) -> None:
    files = archives(reference_data, unit, "VIEDIR")
    assert {p.stem[-3:] for p in files} == set(BANDS)
    for path in files:
        b = band(path.stem[-3:])
        directions = read_viedir(path, unit, b.name)
        lists = {"APPLIED", "LINE_A", "LINE_B"} if b.name in WITH_TDI else {"NO_TDI"}
        assert set(directions.tangents) == {(tdi, d) for tdi in lists for d in range(1, 13)}
        for tangents in directions.tangents.values():
            assert tangents.shape == (2, b.columns)
            # the swath is 20.6 degrees wide in all
            assert np.abs(tangents).max() < np.tan(np.radians(11.0))
        # the detectors look fore and aft by turns
        along = np.array([directions.of(d)[1].mean() for d in range(1, 13)])
        assert (np.diff(np.sign(np.diff(along))) != 0).all()


@pytest.mark.parametrize("unit", UNITS)
def test_every_other_real_file_reads(reference_data: Path, unit: str) -> None:
    for path in archives(reference_data, unit, "SPAMOD"):
        model = read_spamod(path, unit)
        assert 1e-5 < max(abs(v) for v in (model.piloting.x, model.piloting.y, model.piloting.z)) < 5e-3
        assert model.piloting.rotation_first
        assert not model.focal_planes["SWIR"].rotation_first
        assert set(model.detectors) == {(p, d) for p in ("VNIR", "SWIR") for d in range(1, 13)}
    for path in archives(reference_data, unit, "PRDLOC"):
        cuts = read_prdloc(path, unit)
        assert (cuts.reference_band, cuts.reference_detector) == ("B04", 6)
        assert set(cuts.lines) == {(d, name) for d in range(1, 13) for name in BANDS}
        # what is cut in all is the same for every image but for some lines: none is longer than the others
        total = [sum(lines) * band(name).line_factor for (_, name), lines in cuts.lines.items()]
        assert max(total) - min(total) < 24
    for path in archives(reference_data, unit, "BLINDP"):
        assert len(read_blindp(path, unit).valid) == 156


def test_values_of_real_files(reference_data: Path) -> None:
    s2b = read_spamod(archive(reference_data, "S2B", "SPAMOD"), "S2B")
    assert astuple(s2b.piloting) == pytest.approx((-0.1417e-3, 0.7882e-3, 0.3388e-3, 1, True))
    assert astuple(s2b.focal_planes["SWIR"]) == pytest.approx((-0.00062665e-3, 0.0038864e-3, 0.0, 1, False))
    # the figures that the reference chapter on geometry quotes for the cut of the latest version
    cuts = read_prdloc(archives(reference_data, "S2A", "PRDLOC")[-1], "S2A")
    assert (cuts.lines[1, "B01"], cuts.lines[2, "B01"]) == ((783, 63), (64, 782))
    directions = read_viedir(archive(reference_data, "S2C", "VIEDIR", "B8A"), "S2C", "B8A")
    text = read_gipp(archive(reference_data, "S2C", "VIEDIR", "B8A")).decode()
    first = re.search(r'detector_id="07".*?<TAN_PSI_X_LIST>\s*(\S+).*?<TAN_PSI_Y_LIST>\s*(\S+)', text, re.DOTALL)
    assert first is not None
    assert tuple(directions.of(7)[:, 0]) == (float(first[1]), float(first[2]))


@pytest.mark.parametrize("name", WITH_TDI)
def test_each_band_takes_its_own_tdi_list(reference_data: Path, name: str) -> None:
    """Trap 1: the peer takes the first list for B04 and that of B04 for B03."""
    directions = read_viedir(archive(reference_data, "S2B", "VIEDIR", name), "S2B", name)
    text = read_gipp(archive(reference_data, "S2B", "VIEDIR", name)).decode()
    found = []
    for tdi in ("APPLIED", "LINE_A", "LINE_B"):
        block = text[text.index(f'tdi_config="{tdi}"') :]
        match = re.search(r'detector_id="03".*?<TAN_PSI_Y_LIST>(.*?)</TAN_PSI_Y_LIST>', block, re.DOTALL)
        assert match is not None
        np.testing.assert_array_equal(directions.of(3, tdi)[1], np.array(match[1].split(), float))
        found.append(directions.of(3, tdi)[1].mean())
    assert len(set(found)) == 3
    with pytest.raises(InputError, match="TDI configuration 'LINE_C' is not known"):
        directions.of(3, "LINE_C")


def test_a_band_without_tdi_has_one_list(reference_data: Path) -> None:
    directions = read_viedir(archive(reference_data, "S2B", "VIEDIR", "B02"), "S2B", "B02")
    np.testing.assert_array_equal(directions.of(3, "APPLIED"), directions.of(3, "LINE_B"))


def test_another_band_or_unit_is_refused(reference_data: Path) -> None:
    path = archive(reference_data, "S2B", "VIEDIR", "B09")
    with pytest.raises(InputError, match="band 9 instead of 10"):
        read_viedir(path, "S2B", "B10")
    with pytest.raises(InputError, match="a GIPP of S2B for S2A"):
        read_viedir(path, "S2A", "B09")
    with pytest.raises(InputError, match="root element 'GS2_VIEWING_DIRECTIONS'"):
        read_spamod(path, "S2B")


def test_all_fields_of_the_spacecraft_model(reference_data: Path, tmp_path: Path) -> None:
    """Trap 3: no real file has angles of detectors or a scale."""

    def change(text: str) -> str:
        text = re.sub(r"(<MSI_TO_VNIR>.*?<SCALE_FACTOR>)1(<)", r"\g<1>1.00002\2", text, count=1, flags=re.DOTALL)
        detector = r'(_SWIR detector_id="07">\s*<R1 axis="X" unit=")mrad(">)0.0(.*?>)0.0(.*?>)0.0'
        text = re.sub(detector, r"\g<1>rad\g<2>1e-6\g<3>2e-3\g<4>-3e-3", text, flags=re.DOTALL)
        return text.replace("<MSI_TO_FOCAL_PLANE>", "<NEWER_THAN_US>1</NEWER_THAN_US><MSI_TO_FOCAL_PLANE>")

    model = read_spamod(altered(tmp_path, archive(reference_data, "S2A", "SPAMOD"), change), "S2A")
    assert model.focal_planes["VNIR"] == FrameRotation(0, 0, 0, 1.00002, rotation_first=False)
    assert astuple(model.detectors["SWIR", 7]) == pytest.approx((1e-6, 2e-6, -3e-6, 1, True))
    assert model.detectors["SWIR", 8] == FrameRotation(0, 0, 0)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('axis="X"', 'axis="Y"', "rotation around Y instead of X"),
        ('unit="mrad"', 'unit="gon"', "unknown unit gon"),
        ("<SCALE_FACTOR>1<", "<SCALE_FACTOR>nan<", "SCALE_FACTOR"),
        ("<SCALE_FACTOR>1<", "<SCALE_FACTOR>3<", "outside 0.5 to 2"),
        ("ROTATION_THEN_SCALE", "AS_YOU_LIKE", "'AS_YOU_LIKE' is none of"),
        ("PILOTING_TO_MSI_FRAME", "PILOTING", "PILOTING_TO_MSI_FRAME: missing"),
    ],
)
def test_a_field_that_cannot_be_is_named(
    reference_data: Path, tmp_path: Path, before: str, after: str, reason: str
) -> None:
    path = altered(tmp_path, archive(reference_data, "S2C", "SPAMOD"), lambda text: text.replace(before, after))
    with pytest.raises(InputError, match=reason) as error:
        read_spamod(path, "S2C")
    assert path.name in str(error.value)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("<NB_OF_PIXELS>425", "<NB_OF_PIXELS>424", "outside 425 to 425"),
        ('detector_id="02"', 'detector_id="01"', "1 is there twice"),
        ('detector_id="02"', 'detector_id="13"', "13 outside 1 to 12"),
        (
            "</VIEWING_DIRECTIONS_LIST>",
            '</VIEWING_DIRECTIONS_LIST><VIEWING_DIRECTIONS_LIST tdi_config="A"/>',
            "none of APPLIED",
        ),
        ("<TAN_PSI_X_LIST>", "<TAN_PSI_X_LIST>nan ", "426 values"),
    ],
)
def test_viewing_directions_that_cannot_be(
    reference_data: Path, tmp_path: Path, before: str, after: str, reason: str
) -> None:
    path = altered(tmp_path, archive(reference_data, "S2C", "VIEDIR", "B10"), lambda text: text.replace(before, after))
    with pytest.raises(InputError, match=reason):
        read_viedir(path, "S2C", "B10")


def test_the_names_of_archives(reference_data: Path) -> None:
    paths = list(reference_data.glob("gipp_tgz/*/*/*.TGZ"))
    files = [GippFile.from_path(path) for path in paths]
    assert len(paths) == 61
    assert all(f is not None and f.stem == p.stem for f, p in zip(files, paths, strict=True))
