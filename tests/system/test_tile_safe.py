"""The SAFE of the tiles of a run: every metadata file valid, the datastrip's own content in them, made file by file."""

import re
from pathlib import Path

import numpy as np
import pytest
from lxml import etree
from system_model import Run

from s2dask.instrument import BANDS
from s2dask.io.storage import open_array
from s2dask.release.publish import verify

LEVELS = ("L1C", "L2A")
FILES = {
    "S2_User_Product_Level-{}_Metadata.xsd": "MTD_MSI*.xml",
    "S2_PDI_Level-{}_Tile_Metadata.xsd": "GRANULE/*/MTD_TL.xml",
    "S2_PDI_Level-{}_Datastrip_Metadata.xsd": "DATASTRIP/*/MTD_DS.xml",
}


def safe(made: Run, level: str) -> Path:
    return next(Path(p) for p in made.summary.products if p.endswith(".SAFE") and f"MSI{level}" in p)


@pytest.mark.row("IPF-34")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", FILES)
def test_every_metadata_file_is_valid(made: Run, reference_data: Path, kind: str, level: str) -> None:
    path = reference_data / "radiometry/xsd/psd148_s2tbx" / kind.format(level[1:])
    if not path.exists():
        pytest.skip(f"no schema at {path}")
    (file,) = safe(made, level).glob(FILES[kind])
    etree.XMLSchema(etree.parse(path)).assertValid(etree.parse(file))


@pytest.mark.parametrize("level", LEVELS)
def test_the_datastrip_tells_its_orbit_attitude_and_packets(made: Run, level: str) -> None:
    (file,) = safe(made, level).glob("DATASTRIP/*/MTD_DS.xml")
    root, l0 = etree.parse(file).getroot(), made.store("L0")
    positions = np.array([[float(v) for v in e.text.split()] for e in root.iterfind(".//GPS_Point/POSITION_VALUES")])
    stored = open_array(l0, "conditions/ephemeris/position")[...]
    np.testing.assert_allclose(positions, 1e3 * stored, atol=0.5)  # millimetres
    told = [[float(v) for v in e.text.split()] for e in root.iterfind(".//QUATERNION_VALUES")]
    np.testing.assert_array_equal(told, open_array(l0, "conditions/attitude/quaternion")[...])
    assert len(root.findall(".//Source_Packet_Counters_List//Band")) == len(BANDS)
    gipps = {e.text for e in root.iter("GIPP_FILENAME")}
    assert {p.stem for p in (made.session / "aux/gipp").iterdir()} >= gipps > set()


@pytest.mark.parametrize("level", LEVELS)
def test_a_file_is_a_task(made: Run, level: str) -> None:
    folder = safe(made, level)
    tasks = [o.key for o in made.summary.outcomes if re.match(rf"FORMAT_IMG-{level}-", o.key)]
    files = list(folder.rglob("*.jp2"))
    # masks of an L2A are the files of its L1C
    linked = {f.name: f for f in files if level == "L2A" and re.match(r"MSK_(DETFOO|QUALIT|CLASSI)_", f.name)}
    assert len(tasks) == len(set(tasks)) == len(files) - len(linked)
    assert bool(linked) == (level == "L2A")
    first = {f.name: f for f in safe(made, "L1C").rglob("*.jp2")}
    assert all(file.samefile(first[name]) for name, file in linked.items())
    assert verify(folder.parent) == []
    assert not list((made.out / ".work").rglob("release-*/*.part"))
