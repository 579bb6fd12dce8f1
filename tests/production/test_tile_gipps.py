"""GIPPs of L1C: interpolation, tiles, cloud thresholds and colours come from the files where these are there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import dask
import numpy as np
import pytest
import radiometry_model
import zarr
from ortho_model import BANDS, GRID, Session, make_session

from s2dask.auxdata.gipp_filters import ImageFilter, InternalFilter, SquareFilter
from s2dask.auxdata.gipp_production import Conversion, Stretch
from s2dask.auxdata.gipp_resampling import (
    MaskParameters,
    Representation,
    ResamplingParameters,
    SwirThreshold,
    TileDescription,
    TileSize,
    TilingParameters,
    VnirThreshold,
)
from s2dask.auxdata.gipp_types import TYPES
from s2dask.errors import ConfigurationError, InputError
from s2dask.io.storage import open_array
from s2dask.l1c.classification import CIRRUS, OPAQUE, SNOW
from s2dask.production.blocks import Blocking
from s2dask.production.footprint import tiles_of
from s2dask.production.ortho import CLASSIFICATION, start_tile, write_classification, write_ortho
from s2dask.production.resampling import USUAL, Resampling
from s2dask.production.scene import Scene
from s2dask.production.setting import open_gipps, open_setting
from s2dask.production.strip import strip_facts
from s2dask.production.tile_gipps import check_tile, cloud_rule, colour_curves, listed

ONE, MANY = Blocking(6_000, 6_000), Blocking(1_200, 600)


def _of(kind: str) -> dict[str, str]:
    return {"unit": "S2A", "file": radiometry_model.gipp_name(kind)}


def respar(name: str) -> ResamplingParameters:
    return ResamplingParameters(
        **_of("RESPAR"), trace=False, mask_step=10.0, mask_tolerance=1.0, dem_factor=1, largest_step=240.0,
        tile_columns=512, tile_rows=512, filter=InternalFilter(name), side="MIRROR",
    )  # fmt: skip


def maspar(**changes: object) -> MaskParameters:
    values = {
        "trace": False, "blue": VnirThreshold("B03", 0.25), "cirrus": 0.02, "swir": SwirThreshold("B11", 0.3),
        "erosion": 3, "dilation": 5, "water_vnir": VnirThreshold("B08", 0.1),
        "water_swir_1": SwirThreshold("B11", 0.1), "water_swir_2": SwirThreshold("B12", 0.1),
        "filter_10m": InternalFilter("BLN"), "filter_20m": InternalFilter("BLN"), "side": "MIRROR",
    }  # fmt: skip
    return MaskParameters(**_of("MASPAR"), **(values | changes))  # type: ignore[arg-type]


def description(name: str = "28SCB", x: float = 300_000.0, size: int = 10_980) -> TileDescription:
    sizes = {str(r): TileSize(size * 10 // r, size * 10 // r, float(r), -float(r)) for r in (10, 20, 60)}
    return TileDescription(name, "EPSG:32628", "m", x, 3_700_020.0, sizes, np.zeros(8))


def tilpar(*tiles: TileDescription, step: float = 5_000.0) -> TilingParameters:
    return TilingParameters(
        **_of("TILPAR"), trace="NONE", representations=(Representation("UTM", tiles),), final="UTM",
        bands=("B01",), line_step=step, column_step=step,
    )  # fmt: skip


def conver(gamma: float = 1.0) -> Conversion:
    bands = dict.fromkeys(("B02", "B03", "B04"), Stretch(0.0, 0.4, gamma))
    return Conversion(**_of("CONVER"), bands=MappingProxyType(bands))


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    return make_session(tmp_path_factory.mktemp("gipps"), request.getfixturevalue("reference_data") / "geometry")


def given(session: Session, folder: Path, gipps: Mapping[str, object]) -> str:
    """Return a folder of auxiliary files like that of a session, with more GIPPs in it."""
    for kind in Path(session.aux).iterdir():
        if kind.name != "gipp":
            (folder / kind.name).symlink_to(kind)
    (folder / "gipp").mkdir()
    for file in (Path(session.aux) / "gipp").iterdir():
        (folder / "gipp" / file.name).symlink_to(file)
    for name, value in gipps.items():
        (folder / "gipp" / radiometry_model.gipp_name(name)).write_text(TYPES[name].write(value), "utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("name", "interpolation"),
    [("BCO", "bicubic"), ("PPV", "nearest"), ("SPLINE3", "bspline"), ("SPLINE7", "bspline7")],
)
def test_the_interpolation_is_that_of_respar(session: Session, tmp_path: Path, name: str, interpolation: str) -> None:
    aux = given(session, tmp_path, {"RESPAR": respar(name)})
    gipps = open_gipps(session.l0, aux)
    assert USUAL.settled(gipps).facts()["filter"] == name
    assert USUAL.settled(gipps).facts() == Resampling(interpolation).settled(gipps).facts()
    # what is asked for goes before it
    assert Resampling("bilinear").settled(gipps).facts()["filter"] == "BLN"
    attrs = start_tile(session.l0, aux, GRID, ONE, str(tmp_path / "l1c.zarr"))["attrs"]
    assert attrs["filter"] == name
    assert Path(radiometry_model.gipp_name("RESPAR")).stem in attrs["gipps"]
    assert attrs["gipp_set"] == gipps.id


def test_without_respar_it_is_the_spline(session: Session) -> None:
    assert USUAL.settled(open_gipps(session.l0, session.aux)).facts()["filter"] == "SPLINE3"


def test_a_filter_that_is_not_had_is_refused(session: Session, tmp_path: Path) -> None:
    kernel = ImageFilter("SPATIAL", 1, 1, 1, 1, SquareFilter(np.ones((1, 1))))
    aux = given(session, tmp_path, {"RESPAR": replace(respar("BCO"), filter=kernel)})
    with pytest.raises(
        InputError, match=r"kernel is none of SPLINE3, .* PPV; choose one with --interpolation"
    ):
        start_tile(session.l0, aux, GRID, ONE, str(tmp_path / "l1c.zarr"))
    Resampling("bilinear").settled(open_gipps(session.l0, aux))


def test_another_respar_moves_the_tile_of_a_scene(session: Session, tmp_path: Path) -> None:
    path = tmp_path / radiometry_model.gipp_name("RESPAR")
    path.write_text(TYPES["RESPAR"].write(respar("PPV")), "utf-8")
    scene = Scene(session.l0, session.aux, session.l1b)
    window = (GRID.x0, GRID.y0, 600, 600)
    with dask.config.set(scheduler="threads", num_workers=1):
        ours = scene.with_gipp(RESPAR=path).l1c_layer("28SCB", "B11", "counts", window).values
        nearest = scene.l1c_layer("28SCB", "B11", "counts", window, Resampling("nearest")).values
        usual = scene.l1c_layer("28SCB", "B11", "counts", window).values
    np.testing.assert_array_equal(ours, nearest)
    assert (ours == np.round(ours)).all()
    assert (usual != ours).any()


@pytest.mark.row("IPF-27")
def test_the_tiles_are_those_of_tilpar(session: Session, tmp_path: Path) -> None:
    facts, plain = strip_facts(session.l0), open_setting(session.l0, session.aux)
    touched = tiles_of(plain, facts)
    assert {"28SCA", "28SCB"} <= set(touched)
    aux = given(session, tmp_path, {"TILPAR": tilpar(description())})
    setting = open_setting(session.l0, aux)
    assert tiles_of(setting, facts) == listed(setting.gipps, touched) == ("28SCB",)
    check_tile(setting.gipps, GRID)
    with pytest.raises(ConfigurationError, match="no tile 28SCA; it lists 1 tiles"):
        check_tile(setting.gipps, replace(GRID, tile_id="28SCA"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (tilpar(description(x=300_060.0)), "tile 28SCB at 300060, 3.70002e+06 m in EPSG:32628; it lies at 300000"),
        (tilpar(description(size=10_000)), "tile 28SCB of 10000 x 10000 pixels"),
        (tilpar(description(), step=2_500.0), "GRID_STEP/ALONG_LINES is 2500 m"),
    ],
)
def test_a_tiling_that_is_another_is_refused(
    session: Session, tmp_path: Path, value: TilingParameters, reason: str
) -> None:
    aux = given(session, tmp_path, {"TILPAR": value})
    with pytest.raises(InputError) as error:
        start_tile(session.l0, aux, GRID, ONE, str(tmp_path / "l1c.zarr"))
    assert reason in str(error.value)


def _classes(session: Session, aux: str, blocking: Blocking, url: str) -> np.ndarray:
    init = start_tile(session.l0, aux, GRID, blocking, url)
    for r in (10, 20, 60):
        for block in blocking.blocks(GRID, r):
            write_ortho(session.l0, session.l1b, aux, url, block, init)
    records = [write_classification(url, block) for block in blocking.blocks(GRID, 60)]
    classes = np.asarray(open_array(url, CLASSIFICATION)[...])
    assert sum(r["classi.valid"] for r in records) == classes.size
    assert sum(r["classi.opaque"] for r in records) == (classes == OPAQUE).sum()
    return classes


@pytest.mark.row("IPF-31")
def test_the_clouds_are_found_by_maspar(session: Session, tmp_path: Path) -> None:
    assert set(BANDS) == {"B03", "B10", "B11"}
    # B03 waves around 0.30: a threshold there cuts through the tile
    aux = given(session, tmp_path, {"MASPAR": maspar(blue=VnirThreshold("B03", 0.30))})
    classes = _classes(session, aux, ONE, str(tmp_path / "a.zarr"))
    assert set(np.unique(classes)) <= {0, OPAQUE, CIRRUS, SNOW}
    assert 0.1 < (classes == OPAQUE).mean() < 0.9
    assert (classes[classes != OPAQUE] == CIRRUS).mean() > 0.5
    np.testing.assert_array_equal(_classes(session, aux, MANY, str(tmp_path / "b.zarr")), classes)
    attrs = dict(zarr.open_group(str(tmp_path / "a.zarr"), mode="r").attrs["s2dask"])  # type: ignore[arg-type]
    assert attrs["cloud_rule"] == {
        "blue_band": "B03", "blue": 0.30, "cirrus": 0.02, "swir_band": "B11", "swir": 0.3, "erosion": 3, "dilation": 5,
    }  # fmt: skip


@pytest.mark.parametrize("changes", [{"cirrus": 150.0}, {"cirrus": -0.1}, {"erosion": 500}])
def test_thresholds_that_are_no_reflectance_are_refused(
    session: Session, tmp_path: Path, changes: dict[str, object]
) -> None:
    aux = given(session, tmp_path, {"MASPAR": maspar(**changes)})
    with pytest.raises(InputError, match="CLOUD_DETECTION"):
        cloud_rule(open_gipps(session.l0, aux))


@pytest.mark.row("IPF-33")
def test_the_curves_are_those_of_conver(session: Session, tmp_path: Path) -> None:
    assert colour_curves(open_gipps(session.l0, session.aux)) is None
    aux = given(session, tmp_path, {"CONVER": conver(1.8)})
    attrs = start_tile(session.l0, aux, GRID, ONE, str(tmp_path / "l1c.zarr"))["attrs"]
    assert attrs["colour_curves"] == {name: [0.0, 0.4, 1.8] for name in ("B02", "B03", "B04")}
