"""The GIPPs of masks, resampling and tiles: MASPAR, RESPAR, TILPAR.

A_MASK_PARAMETERS, A_RESAMPLE_PARAMETERS and A_TILING_PARAMETERS of the GIPP dictionary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp
from s2dask.auxdata.gipp_filters import SIDE_MANAGEMENT, ResamplingFilter, resampling
from s2dask.auxdata.gipp_record import At, Several, Table
from s2dask.auxdata.gipp_values import BandIndex, Flag, Integer, Real, Reals, Text, Word
from s2dask.instrument import BANDS

_VNIR: Final = tuple(name for name, b in BANDS.items() if b.focal_plane == "VNIR")
_SWIR: Final = tuple(name for name, b in BANDS.items() if b.focal_plane == "SWIR")
_POSITIVE: Final = Real(0.0, 1e9, open_low=True)
_THRESHOLD: Final = Real(-1e6, 1e6)


@dataclass(frozen=True, slots=True)
class VnirThreshold:
    """A threshold on a VNIR band.

    Attributes
    ----------
    band : str
    threshold : float
    """

    band: Annotated[str, At("BAND_ID", BandIndex(_VNIR))]
    threshold: Annotated[float, At("SPECTRAL_THRESHOLD", _THRESHOLD)]


@dataclass(frozen=True, slots=True)
class SwirThreshold:
    """A threshold on a SWIR band.

    Attributes
    ----------
    band : str
    threshold : float
    """

    band: Annotated[str, At("BAND_ID", BandIndex(_SWIR))]
    threshold: Annotated[float, At("SPECTRAL_THRESHOLD", _THRESHOLD)]


@dataclass(frozen=True, slots=True, eq=False)
class MaskParameters(Gipp):
    """GIP_MASPAR.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    blue : VnirThreshold
    cirrus : float
        Threshold on B10.
    swir : SwirThreshold
    erosion, dilation : int
        SIZE_EROSION and SIZE_DILATATION: sizes of the neighbourhoods [pixel].
    water_vnir : VnirThreshold
    water_swir_1, water_swir_2 : SwirThreshold
        Land and water classification.
    filter_10m, filter_20m : InternalFilter or ImageFilter
        By which the bands are undersampled.
    side : str
        ``EXACT`` or ``MIRROR``.
    """

    ROOT: ClassVar[str] = "GS2_MASK_S2_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "MASK_S2_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    blue: Annotated[VnirThreshold, At("CLOUD_DETECTION/BLUE_BAND", VnirThreshold)]
    cirrus: Annotated[float, At("CLOUD_DETECTION/B10_SPECTRAL_THRESHOLD", _THRESHOLD)]
    swir: Annotated[SwirThreshold, At("CLOUD_DETECTION/SWIR_BAND", SwirThreshold)]
    erosion: Annotated[int, At("CLOUD_DETECTION/SIZE_EROSION", Integer(0, 10_000))]
    dilation: Annotated[int, At("CLOUD_DETECTION/SIZE_DILATATION", Integer(0, 10_000))]
    water_vnir: Annotated[VnirThreshold, At("LAND_WATER_CLASSIFICATION_BANDS/VNIR_BAND", VnirThreshold)]
    water_swir_1: Annotated[SwirThreshold, At("LAND_WATER_CLASSIFICATION_BANDS/SWIR_BAND_1", SwirThreshold)]
    water_swir_2: Annotated[SwirThreshold, At("LAND_WATER_CLASSIFICATION_BANDS/SWIR_BAND_2", SwirThreshold)]
    filter_10m: Annotated[ResamplingFilter, resampling("UNDERSAMPLING_10M_FILTER")]
    filter_20m: Annotated[ResamplingFilter, resampling("UNDERSAMPLING_20M_FILTER")]
    side: Annotated[str, At("RESAMPLING_SIDE_MANAGEMENT", SIDE_MANAGEMENT)]


@dataclass(frozen=True, slots=True, eq=False)
class ResamplingParameters(Gipp):
    """GIP_RESPAR.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    mask_step, mask_tolerance : float
        DISCRETISATION_STEP, and TOLERANCE [m] of the vector masks.
    dem_factor : int
        Step of the elevation model over that of the resampling grids.
    largest_step : float
        Of the grids [m].
    tile_columns, tile_rows : int
        Recommended size of the pieces.
    filter : InternalFilter or ImageFilter
    side : str
        ``EXACT`` or ``MIRROR``.
    """

    ROOT: ClassVar[str] = "GS2_RESAMPLE_S2_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "RESAMPLE_S2_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    mask_step: Annotated[float, At("MASK/DISCRETISATION_STEP", _POSITIVE)]
    mask_tolerance: Annotated[float, At("MASK/TOLERANCE", Real(0.0, 1e6))]
    dem_factor: Annotated[int, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/GRID_STEP_FACTOR_DEM", Integer(1))]
    largest_step: Annotated[float, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/GRID_MAX_STEP", _POSITIVE, "m")]
    tile_columns: Annotated[int, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/TILES_SIZE/NB_OF_COLS", Integer(1))]
    tile_rows: Annotated[int, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/TILES_SIZE/NB_OF_ROWS", Integer(1))]
    filter: Annotated[ResamplingFilter, resampling("SIGMA_PARAMETERS/RESAMPLING/RESAMPLING_FILTER")]
    side: Annotated[str, At("SIGMA_PARAMETERS/RESAMPLING/RESAMPLING_SIDE_MANAGEMENT", SIDE_MANAGEMENT)]


@dataclass(frozen=True, slots=True)
class TileSize:
    """TILE_SIZE of a resolution.

    Attributes
    ----------
    rows, columns : int
    x_step, y_step : float
        XDIM and YDIM, in the unit of the tile.
    """

    rows: Annotated[int, At("NROWS", Integer(1))]
    columns: Annotated[int, At("NCOLS", Integer(1))]
    x_step: Annotated[float, At("XDIM", Real(-1e6, 1e6))]
    y_step: Annotated[float, At("YDIM", Real(-1e6, 1e6))]


@dataclass(frozen=True, slots=True, eq=False)
class TileDescription:
    """TILE: one tile of the grid.

    Attributes
    ----------
    name : str
        TILE_IDENTIFIER.
    code : str
        HORIZONTAL_CS_CODE: ``EPSG:32632``.
    unit : str
        ``m`` or ``deg``.
    x, y : float
        Upper left corner.
    sizes : mapping of str to TileSize
        By resolution, ``10``, ``20``, ``60`` [m].
    box : (8) float64
        B_BOX: latitude and longitude of the corners [deg].
    """

    name: Annotated[str, At("TILE_IDENTIFIER", Text())]
    code: Annotated[str, At("HORIZONTAL_CS_CODE", Text())]
    unit: Annotated[str, At("UNIT", Word.of("m", "deg"))]
    x: Annotated[float, At("ULX", Real(-1e8, 1e8))]
    y: Annotated[float, At("ULY", Real(-1e8, 1e8))]
    sizes: Annotated[
        Mapping[str, TileSize],
        Table("TILE_SIZE", "@resolution", Word.of("10", "20", "60"), TileSize, "TILE_SIZE_LIST", ("10", "20", "60")),
    ]
    box: Annotated[NDArray[np.float64], At("B_BOX", Reals(8, -360.0, 360.0))]


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """REPRESENTATION_CODE_LIST: the tiles of one reference system.

    Attributes
    ----------
    type : str
    tiles : tuple of TileDescription
    """

    type: Annotated[str, At("REPRESENTATION_TYPE", Text())]
    tiles: Annotated[tuple[TileDescription, ...], Several("TILE", TileDescription, "TILE_LIST")]

    def check(self, at: Fields) -> None:
        """Refuse a tile that is there twice."""
        names = [tile.name for tile in self.tiles]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise at.refuse(f"{twice} is there twice", "TILE_LIST/TILE/TILE_IDENTIFIER")


@dataclass(frozen=True, slots=True, eq=False)
class TilingParameters(Gipp):
    """GIP_TILPAR.

    Attributes
    ----------
    trace : str
        TRACE_MODE, of no type in the dictionary; not used.
    representations : tuple of Representation
    final : str
        FINAL_REPRESENTATION.
    bands : tuple of str
        Those whose incidence angles are written.
    line_step, column_step : float
        Of the grid of angles [m].
    """

    ROOT: ClassVar[str] = "GS2_TILING_S2_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "TILING_S2_PARAMETERS_FILE"

    trace: Annotated[str, At("TRACE_MODE", Text())]
    representations: Annotated[tuple[Representation, ...], Several("REPRESENTATION_CODE_LIST", Representation)]
    final: Annotated[str, At("FINAL_REPRESENTATION", Text())]
    bands: Annotated[tuple[str, ...], Several("BAND_ID", BandIndex(), "INCIDENCE_ANGLES", 1, 13, unique=True)]
    line_step: Annotated[float, At("INCIDENCE_ANGLES/GRID_STEP/ALONG_LINES", _POSITIVE)]
    column_step: Annotated[float, At("INCIDENCE_ANGLES/GRID_STEP/ALONG_COLUMNS", _POSITIVE)]
