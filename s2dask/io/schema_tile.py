"""Schemas of the tile levels L1C and L2A, in the EOPF layout (measurements, quality, conditions)."""

from collections.abc import Sequence
from typing import Any

from s2dask.instrument import BANDS, RESOLUTIONS, band
from s2dask.instrument.quality import FLAGS
from s2dask.instrument.uncertainty import RANDOM_STEP, SYSTEMATIC_STEP, TOA_STEP
from s2dask.io.grids import TileGrid
from s2dask.io.variables import Schema, VariableSpec, spec

ANGLE_STEP = 5000
"""Step of the angle grids [m]."""
CHUNK = {10: 1830, 20: 915, 60: 305}
"""Zarr chunk of an image at each resolution, as in ESA's products [px]."""
L2A_BANDS = {
    10: ("B02", "B03", "B04", "B08"),
    20: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B11", "B12"),
    60: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B09", "B11", "B12"),
}
"""Bands delivered by L2A at each resolution."""
SCL_MEANINGS = (
    "no_data saturated_or_defective cast_shadow cloud_shadow vegetation not_vegetated water unclassified "
    "cloud_medium_probability cloud_high_probability thin_cirrus snow"
)
_MORE: dict[str, Any] = {"flag_values": [255], "flag_meanings": "of_255_steps_or_more_or_saturated"}
"""Of a layer of uncertainty: what its last code means, in the attributes that EOPF allows."""
CLASSI_FLAGS = (("OPAQUE", 1), ("CIRRUS", 2), ("SNOW_ICE", 4))


def reflectance_path(resolution: int, band_name: str) -> str:
    """Return the path of a reflectance image: ``measurements/reflectance/r10m/b02``."""
    return f"measurements/reflectance/r{resolution}m/{band_name.lower()}"


def quality_path(resolution: int, band_name: str) -> str:
    """Return the path of the MSK_QUALIT layer of a band."""
    return f"quality/mask/r{resolution}m/{band_name.lower()}"


def footprint_path(resolution: int, band_name: str) -> str:
    """Return the path of the MSK_DETFOO layer of a band."""
    return f"conditions/mask/detector_footprint/r{resolution}m/{band_name.lower()}"


def noise_gain_path(resolution: int, band_name: str) -> str:
    """Return the path of the sums of squared interpolation weights of a band, a layer made on request."""
    return f"quality/noise_gain/r{resolution}m/{band_name.lower()}"


def uncertainty_path(band_name: str, part: str) -> str:
    """Return the path of a layer of uncertainty of a band, ``random`` or ``systematic``, at its own resolution."""
    return f"quality/uncertainty/r{band(band_name).resolution}m/{band_name.lower()}_{part}"


def toa_uncertainty_path(band_name: str) -> str:
    """Return the path of the layer of uncertainty of the top-of-atmosphere reflectance of a band."""
    return f"quality/uncertainty/r{band(band_name).resolution}m/{band_name.lower()}"


def angle_nodes(grid: TileGrid) -> tuple[int, int]:
    """Return (rows, columns) of the 5 km angle grids of a grid: 23 x 23 for a whole tile."""
    return -(-grid.height // ANGLE_STEP) + 1, -(-grid.width // ANGLE_STEP) + 1


def _image(
    grid: TileGrid, resolution: int, dtype: str, long_name: str, chunk: int | None, **attrs: Any
) -> VariableSpec:
    size = chunk or CHUNK[resolution]
    shape = grid.shape(resolution)
    return spec(
        "y x", shape, dtype, long_name, chunks=(min(size, shape[0]), min(size, shape[1])),
        grid_mapping="spatial_ref", **attrs,
    )


def _reflectance(grid: TileGrid, resolution: int, name: str, level: str, chunk: int | None) -> VariableSpec:
    return _image(
        grid, resolution, "uint16", f"{level} reflectance from MSI acquisition at spectral band {name.lower()}", chunk,
        short_name=name.lower(), scale_factor=1e-4, add_offset=-0.1, valid_min=1, valid_max=65534,
    )


def _coordinates(grid: TileGrid, resolutions: Sequence[int], groups: Sequence[str]) -> Schema:
    out: Schema = {}
    for group in groups:
        for r in resolutions:
            rows, columns = grid.shape(r)
            where = group.format(r=r)
            out[f"{where}/x"] = spec("x", (columns,), "float64", "easting of the pixel centre", "m",
                                     standard_name="projection_x_coordinate", axis="X")
            out[f"{where}/y"] = spec("y", (rows,), "float64", "northing of the pixel centre", "m",
                                     standard_name="projection_y_coordinate", axis="Y")
            out[f"{where}/spatial_ref"] = spec("", (), "int64", "coordinate reference system")
    return out


def _geometry(grid: TileGrid, detectors: int) -> Schema:
    rows, columns = angle_nodes(grid)
    nan = float("nan")
    g = "conditions/geometry"
    return {
        f"{g}/sun_angles": spec("angle y x", (2, rows, columns), "float64", "solar zenith and azimuth", "degree",
                                fill_value=nan, short_name="sun_angles"),
        f"{g}/viewing_incidence_angles": spec(
            "band detector angle y x", (13, detectors, 2, rows, columns), "float64", "viewing zenith and azimuth",
            "degree", fill_value=nan, short_name="viewing_incidence_angles",
        ),
        f"{g}/mean_sun_angles": spec("angle", (2,), "float64", "mean solar zenith and azimuth", "degree",
                                     fill_value=nan, short_name="mean_sun_angles"),
        f"{g}/mean_viewing_incidence_angles": spec(
            "band angle", (13, 2), "float64", "mean viewing zenith and azimuth", "degree", fill_value=nan,
            short_name="mean_viewing_incidence_angles",
        ),
        f"{g}/detector": spec("detector", (detectors,), "int64", "detector number"),
        f"{g}/band": spec("band", (13,), "int64", "band index, B01 = 0 to B12 = 12"),
        f"{g}/x": spec("x", (columns,), "float64", "easting of the node", "m"),
        f"{g}/y": spec("y", (rows,), "float64", "northing of the node", "m"),
    }


def _flags(pairs: Sequence[tuple[str, int]]) -> dict[str, Any]:
    return {"flag_masks": [bit for _, bit in pairs], "flag_meanings": " ".join(name for name, _ in pairs)}


def l1c(
    grid: TileGrid, detectors: Sequence[int], bands: Sequence[str] = tuple(BANDS), chunks: dict[int, int] | None = None,
    noise_gain: bool = False, uncertainty: bool = False,
) -> Schema:
    """Return the schema of an L1C tile; `chunks` overrides the chunk edge per resolution [px].

    With `noise_gain`, what the interpolation does to the variance of the counts is a layer of its own; with
    `uncertainty`, that of the reflectance.
    """
    chunk = chunks or CHUNK
    out = _geometry(grid, len(detectors))
    groups = ["measurements/reflectance/r{r}m", "quality/mask/r{r}m", "conditions/mask/detector_footprint/r{r}m"]
    if noise_gain:
        groups.append("quality/noise_gain/r{r}m")
    if uncertainty:
        groups.append("quality/uncertainty/r{r}m")
    present = sorted({band(name).resolution for name in bands})
    out |= _coordinates(grid, present, groups)
    for name in bands:
        r = band(name).resolution
        out[reflectance_path(r, name)] = _reflectance(grid, r, name, "TOA", chunk[r])
        out[quality_path(r, name)] = _image(
            grid, r, "uint8", f"MSK_QUALIT of band {name}", chunk[r], short_name=name.lower(), **_flags(FLAGS)
        )
        out[footprint_path(r, name)] = _image(
            grid, r, "uint8", f"detector footprint of band {name}, 0 = none", chunk[r], short_name=name.lower()
        )
        if noise_gain:
            out[noise_gain_path(r, name)] = _image(
                grid, r, "float32", f"sum of squared interpolation weights of band {name}", chunk[r],
                fill_value=float("nan"), short_name=name.lower(),
            )
        if uncertainty:
            out[toa_uncertainty_path(name)] = _image(
                grid, r, "uint8", f"standard uncertainty of TOA reflectance of band {name.lower()}", chunk[r],
                short_name=name.lower(), scale_factor=TOA_STEP, add_offset=0.0, valid_min=1, valid_max=255,
                **_MORE,
            )
    where = "conditions/mask/l1c_classification/r60m"
    out |= _coordinates(grid, (60,), (where,))
    out[f"{where}/b00"] = _image(grid, 60, "uint8", "MSK_CLASSI", chunk[60], short_name="b00", **_flags(CLASSI_FLAGS))
    return out


def _uncertainty(grid: TileGrid, chunk: dict[int, int]) -> Schema:
    """Return the layers of uncertainty of surface reflectance, of each band at its own resolution."""
    out = _coordinates(grid, RESOLUTIONS, ("quality/uncertainty/r{r}m",))
    parts = (
        ("random", "noise and quantisation", RANDOM_STEP),
        ("systematic", "calibration and atmosphere", SYSTEMATIC_STEP),
    )
    for name in (name for name in BANDS if name != "B10"):
        r = band(name).resolution
        for part, causes, step in parts:
            out[uncertainty_path(name, part)] = _image(
                grid, r, "uint8", f"standard uncertainty of BOA reflectance of band {name.lower()}, {causes}",
                chunk[r], short_name=f"{name.lower()}_{part}", scale_factor=step, add_offset=0.0, valid_min=1,
                valid_max=255, **_MORE,
            )
    return out


def l2a(
    grid: TileGrid, detectors: int = 1, chunks: dict[int, int] | None = None, uncertainty: bool = False
) -> Schema:
    """Return the schema of an L2A tile; with `uncertainty`, that of every reflectance is a layer too."""
    chunk = chunks or CHUNK
    out = _geometry(grid, detectors)
    groups = ("measurements/reflectance/r{r}m", "quality/atmosphere/r{r}m")
    out |= _coordinates(grid, RESOLUTIONS, groups)
    for r, names in L2A_BANDS.items():
        for name in names:
            out[reflectance_path(r, name)] = _reflectance(grid, r, name, "BOA", chunk[r])
        for short, text in (("aot", "aerosol optical thickness at 550 nm"), ("wvp", "water vapour column [cm]")):
            out[f"quality/atmosphere/r{r}m/{short}"] = _image(
                grid, r, "uint16", text, chunk[r], short_name=short, scale_factor=1e-3, add_offset=0.0
            )
    for r in (20, 60):
        where = f"conditions/mask/l2a_classification/r{r}m"
        out |= _coordinates(grid, (r,), (where,))
        out[f"{where}/scl"] = _image(
            grid, r, "uint8", "scene classification", chunk[r], short_name="scl",
            flag_values=list(range(12)), flag_meanings=SCL_MEANINGS,
        )
    out |= _coordinates(grid, (20,), ("quality/probability/r{r}m",))
    for short, text in (("cld", "cloud probability"), ("snw", "snow probability")):
        out[f"quality/probability/r20m/{short}"] = _image(
            grid, 20, "uint8", text, chunk[20], short_name=short, valid_min=0, valid_max=100
        )
    return out | _uncertainty(grid, chunk) if uncertainty else out
