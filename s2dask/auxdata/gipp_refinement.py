"""GIP_G2PARA: the parameters of the geometric refinement.

A_GEO_PARAMETERS of the GIPP dictionary with A_POLLUX_PARAMETERS and A_QPEC_CORRELATION_PARAMETERS. The attributes of
the latter are the fields of the dictionary in lower case; they are kept to be read and written whole.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from s2dask.auxdata.gipp_file import Gipp
from s2dask.auxdata.gipp_filters import SIDE_MANAGEMENT, ResamplingFilter, resampling
from s2dask.auxdata.gipp_record import At, Several
from s2dask.auxdata.gipp_values import BandIndex, Flag, Integer, Real, Word
from s2dask.instrument import BANDS

_VNIR: Final = tuple(name for name, b in BANDS.items() if b.focal_plane == "VNIR")
_SWIR: Final = tuple(name for name, b in BANDS.items() if b.focal_plane == "SWIR")
_SCALES: Final = Word.of("2", "4", "8", "16", "32", "64")


@dataclass(frozen=True, slots=True)
class Correlation:
    """A_QPEC_CORRELATION_PARAMETERS: how two images are correlated."""

    exploration_nb_rows: Annotated[int, At("EXPLORATION_NB_ROWS", Integer(0))]
    exploration_nb_cols: Annotated[int, At("EXPLORATION_NB_COLS", Integer(0))]
    method_type: Annotated[str, At("METHOD_TYPE", Word.of("CORRELATION_MEASURE", "CORREL_LINEAIRE"))]
    correl_size_nb_rows: Annotated[int, At("CORREL_SIZE_NB_ROWS", Integer(0))]
    correl_size_nb_cols: Annotated[int, At("CORREL_SIZE_NB_COLS", Integer(0))]
    initial_threshold: Annotated[float, At("INITIAL_THRESHOLD", Real())]
    final_threshold: Annotated[float, At("FINAL_THRESHOLD", Real())]
    min_final_threshold: Annotated[float, At("MIN_FINAL_THRESHOLD", Real())]
    contour_reduction: Annotated[int, At("CONTOUR_REDUCTION", Integer(0, 1))]
    slope_threshold: Annotated[float, At("SLOPE_THRESHOLD", Real())]
    sigma_threshold: Annotated[float, At("SIGMA_THRESHOLD", Real())]
    correl_computing: Annotated[
        str, At("CORREL_COMPUTING", Word.of("CORRELATION_SPATIALE", "CORRELATION_FREQUENTIELLE"))
    ]
    correl_method: Annotated[
        str, At("CORREL_METHOD", Word.of("INTERPOLATION_DIRECTE_PIC", "RECHERCHE_ITERATIVE_PAR_REECHANT"))
    ]
    interpolation_type: Annotated[str, At("INTERPOLATION_TYPE", Word.of("INTERPOL_CNES", "INTERPOL_SHANNON"))]
    search_type: Annotated[str, At("SEARCH_TYPE", Word.of("DICHOTOMIE", "POWELL_FLETCHER"))]
    image_to_resample: Annotated[str, At("IMAGE_TO_RESAMPLE", Word.of("IMAGE_RECHERCHE", "NAPPE_TAUX_CORRELATION"))]
    loc_precision: Annotated[float, At("LOC_PRECISION", Real())]
    interpol_type: Annotated[
        str,
        At("INTERPOL_TYPE", Word.of("SPLINE", "BICUBIQUE_CNES", "BICUBIQUE_OPTIMISEE", "BILINEAIRE", "SINUS_CARDINAL")),
    ]
    sinc_half_nb_row: Annotated[int, At("SINC_HALF_NB_ROW", Integer(0))]
    sinc_half_nb_col: Annotated[int, At("SINC_HALF_NB_COL", Integer(0))]
    gaussian: Annotated[str, At("GAUSSIAN", Word.of("PAS_DE_GAUSSIENNE", "GAUSSIENNE_NORMALISEE", "GAUSSIENNE_LIBRE"))]
    sigma_col: Annotated[float, At("SIGMA_COL", Real())]
    sigma_row: Annotated[float, At("SIGMA_ROW", Real())]
    spline_order: Annotated[int, At("SPLINE_ORDER", Integer(0))]


@dataclass(frozen=True, slots=True)
class Zone:
    """ZONE_N: a part of the image."""

    zone_number: Annotated[int, At("ZONE_NUMBER", Integer(0))]
    col_min: Annotated[float, At("COL_MIN", Real(0.0, 1.0))]
    col_max: Annotated[float, At("COL_MAX", Real(0.0, 1.0))]
    lig_min: Annotated[float, At("LIG_MIN", Real(0.0, 1.0))]
    lig_max: Annotated[float, At("LIG_MAX", Real(0.0, 1.0))]
    priority: Annotated[int, At("PRIORITY", Integer(-1, 10))]


@dataclass(frozen=True, slots=True)
class Monomial:
    """COEFFICIENT: one monomial of a polynomial model."""

    row_degree: Annotated[int, At("ROW_DEGREE", Integer(0))]
    col_degree: Annotated[int, At("COL_DEGREE", Integer(0))]
    weight: Annotated[float, At("WEIGHT", Real())]


@dataclass(frozen=True, slots=True)
class Density:
    """TIE_POINTS_DENSITY."""

    min_on_image: Annotated[float, At("MIN_ON_IMAGE", Real(0.0, 1.0))]
    min_by_zone: Annotated[float, At("MIN_BY_ZONE", Real(0.0, 1.0))]
    min_surface_ratio: Annotated[float, At("MIN_SURFACE_RATIO", Real())]


@dataclass(frozen=True, slots=True)
class Zones:
    """ZONES_DESCRIPTION."""

    minimal_score_full_model: Annotated[int, At("MINIMAL_SCORE_FULL_MODEL", Integer(0))]
    minimal_surface_full_model: Annotated[float, At("MINIMAL_SURFACE_FULL_MODEL", Real())]
    minimal_score_reduced_model: Annotated[int, At("MINIMAL_SCORE_REDUCED_MODEL", Integer(0))]
    minimal_surface_reduced_model: Annotated[float, At("MINIMAL_SURFACE_REDUCED_MODEL", Real(0.0))]
    zones: Annotated[tuple[Zone, ...], Several("ZONE_N", Zone, "ZONES_LOCATION")]


@dataclass(frozen=True, slots=True)
class GridCreation:
    """GRID_CREATION_PARAMETERS."""

    min_number_points_level1: Annotated[int, At("MIN_NUMBER_POINTS_LEVEL1", Integer(4))]
    min_number_points_level2: Annotated[int, At("MIN_NUMBER_POINTS_LEVEL2", Integer(20))]
    min_number_points_level3: Annotated[int, At("MIN_NUMBER_POINTS_LEVEL3", Integer(20))]
    rejected_points_density: Annotated[float, At("REJECTED_POINTS_DENSITY", Real(0.0))]
    correl_rejected_points_density: Annotated[float, At("CORREL_REJECTED_POINTS_DENSITY", Real(0.0))]
    minimal_grid_step: Annotated[int, At("MINIMAL_GRID_STEP", Integer(2))]
    minimal_densification_grid_level1: Annotated[
        float, At("MINIMAL_DENSIFICATION_GRID_LEVEL1", Real(0.0, open_low=True))
    ]
    minimal_densification_grid_level2: Annotated[
        float, At("MINIMAL_DENSIFICATION_GRID_LEVEL2", Real(0.0, open_low=True))
    ]
    minimal_densification_grid_level3: Annotated[
        float, At("MINIMAL_DENSIFICATION_GRID_LEVEL3", Real(0.0, open_low=True))
    ]


@dataclass(frozen=True, slots=True)
class Correlations:
    """CORRELATIONS_PARAMETERS: three levels."""

    mask_use_flag: Annotated[int, At("MASK_USE_FLAG", Integer(0, 1))]
    inter_scale_step_level1: Annotated[str, At("INTER_SCALE_STEP_LEVEL1", _SCALES)]
    inter_scale_step_level2: Annotated[str, At("INTER_SCALE_STEP_LEVEL2", _SCALES)]
    image_correlation_level1: Annotated[Correlation, At("IMAGE_CORRELATION_LEVEL1", Correlation)]
    image_correlation_level2: Annotated[Correlation, At("IMAGE_CORRELATION_LEVEL2", Correlation)]
    image_correlation_level3: Annotated[Correlation, At("IMAGE_CORRELATION_LEVEL3", Correlation)]


@dataclass(frozen=True, slots=True)
class Modelling:
    """MODELISATION_PARAMETERS: the model between two images."""

    resolution_min_for_model: Annotated[float, At("RESOLUTION_MIN_FOR_MODEL", Real())]
    nb_control_points_by_zone: Annotated[int, At("NB_CONTROL_POINTS_BY_ZONE", Integer(1))]
    corners_step: Annotated[int, At("CORNERS_STEP", Integer(0))]
    minimal_variation_on_corners: Annotated[float, At("MINIMAL_VARIATION_ON_CORNERS", Real())]
    min_density_by_zone_level_1: Annotated[float, At("MIN_DENSITY_BY_ZONE_LEVEL_1", Real(0.0))]
    min_density_by_zone_level_2: Annotated[float, At("MIN_DENSITY_BY_ZONE_LEVEL_2", Real(0.0))]
    min_density_by_zone_level_3: Annotated[float, At("MIN_DENSITY_BY_ZONE_LEVEL_3", Real(0.0))]
    max_density_by_zone_level_1: Annotated[float, At("MAX_DENSITY_BY_ZONE_LEVEL_1", Real(0.0))]
    max_density_by_zone_level_2: Annotated[float, At("MAX_DENSITY_BY_ZONE_LEVEL_2", Real(0.0))]
    max_density_by_zone_level_3: Annotated[float, At("MAX_DENSITY_BY_ZONE_LEVEL_3", Real(0.0))]
    densifying_iterations_max: Annotated[int, At("DENSIFYING_ITERATIONS_MAX", Integer(2, 100))]
    k_filtering_level_1: Annotated[float, At("K_FILTERING_LEVEL_1", Real(0.0, 100.0))]
    k_filtering_level_2: Annotated[float, At("K_FILTERING_LEVEL_2", Real(0.0, 100.0))]
    k_filtering_level_3: Annotated[float, At("K_FILTERING_LEVEL_3", Real(0.0, 100.0))]
    refining_iterations_max: Annotated[int, At("REFINING_ITERATIONS_MAX", Integer(2, 100))]
    rejected_points_max_increasing: Annotated[float, At("REJECTED_POINTS_MAX_INCREASING", Real(0.0, 1.0))]
    reduced_row_polynomial_nb_mon: Annotated[int, At("REDUCED_ROW_POLYNOMIAL_NB_MON", Integer(0))]
    reduced_row_polynomial: Annotated[tuple[Monomial, ...], Several("COEFFICIENT", Monomial, "REDUCED_ROW_POLYNOMIAL")]
    reduced_col_polynomial_nb_mon: Annotated[int, At("REDUCED_COL_POLYNOMIAL_NB_MON", Integer(0))]
    reduced_col_polynomial: Annotated[tuple[Monomial, ...], Several("COEFFICIENT", Monomial, "REDUCED_COL_POLYNOMIAL")]
    full_row_polynomial_nb_mon: Annotated[int, At("FULL_ROW_POLYNOMIAL_NB_MON", Integer(0))]
    full_row_polynomial: Annotated[tuple[Monomial, ...], Several("COEFFICIENT", Monomial, "FULL_ROW_POLYNOMIAL")]
    full_col_polynomial_nb_mon: Annotated[int, At("FULL_COL_POLYNOMIAL_NB_MON", Integer(0))]
    full_col_polynomial: Annotated[tuple[Monomial, ...], Several("COEFFICIENT", Monomial, "FULL_COL_POLYNOMIAL")]
    model_error_warning: Annotated[float, At("MODEL_ERROR_WARNING", Real(0.0))]
    model_error_max: Annotated[float, At("MODEL_ERROR_MAX", Real(0.0))]
    modelise_with_filtred_points: Annotated[int, At("MODELISE_WITH_FILTRED_POINTS", Integer(0, 1))]


@dataclass(frozen=True, slots=True, eq=False)
class TiePoints:
    """A_POLLUX_PARAMETERS: the automatic choice of tie points."""

    density: Annotated[Density, At("TIE_POINTS_DENSITY", Density)]
    location_precision: Annotated[float, At("DEZOOM_PARAMETERS/LOCATION_PRECISION", Real())]
    image_filter: Annotated[ResamplingFilter, resampling("DEZOOM_PARAMETERS/IMAGE_FILTER")]
    zones: Annotated[Zones, At("ZONES_DESCRIPTION", Zones)]
    grids: Annotated[GridCreation, At("GRID_CREATION_PARAMETERS", GridCreation)]
    correlations: Annotated[Correlations, At("CORRELATIONS_PARAMETERS", Correlations)]
    modelling: Annotated[Modelling, At("MODELISATION_PARAMETERS", Modelling)]


@dataclass(frozen=True, slots=True, eq=False)
class Refinement:
    """GEOMETRIC_MODEL_REFINING and REGISTRATION of SIGMA_PARAMETERS.

    Attributes
    ----------
    filter : InternalFilter or ImageFilter
        Into the common geometry.
    tie_points : TiePoints
    image_precision : float
        [pixel]
    ground_precision, height_precision : float
        PRECISION_PLANI and PRECISION_ALTI [m].
    """

    filter: Annotated[ResamplingFilter, resampling("RESAMPLING_FILTER")]
    tie_points: Annotated[TiePoints, At("CORRELATION_PARAMETERS", TiePoints)]
    image_precision: Annotated[float, At("SPATIO_PARAMS/PRECISION_IMAGE", Real(0.0))]
    ground_precision: Annotated[float, At("SPATIO_PARAMS/PRECISION_PLANI", Real(0.0), "m")]
    height_precision: Annotated[float, At("SPATIO_PARAMS/PRECISION_ALTI", Real(0.0), "m")]


@dataclass(frozen=True, slots=True, eq=False)
class GeometricParameters(Gipp):
    """GIP_G2PARA.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    refining : str
        ``REFINING``, ``REGISTRATION``, ``REFINING_REGISTRATION`` or ``NONE``.
    reference_band, swir_band, vnir_band : str
    performance_10m, performance_20m, performance_60m : float
        Of the registration [m].
    reference_geolocation, footprint_step : float
        [m]
    gcp_threshold : float
        GCP_DISTANCE_THRESHOLD.
    dem_factor, low_resolution_factor : int
    largest_step : float
        [m]
    tile_columns, tile_rows : int
    filter : InternalFilter or ImageFilter
    side : str
        ``EXACT`` or ``MIRROR``.
    refinement, registration : Refinement
    """

    ROOT: ClassVar[str] = "GS2_GEO_S2_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "GEO_S2_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    refining: Annotated[str, At("REFINING_TYPE", Word.of("REFINING", "REGISTRATION", "REFINING_REGISTRATION", "NONE"))]
    reference_band: Annotated[str, At("GEOMETRIC_MODEL_REFINING/REFERENCE_BAND", BandIndex())]
    swir_band: Annotated[str, At("VNIR_SWIR_REGISTRATION/SWIR_BAND", BandIndex(_SWIR))]
    vnir_band: Annotated[str, At("VNIR_SWIR_REGISTRATION/VNIR_BAND", BandIndex(_VNIR))]
    performance_10m: Annotated[float, At("REGISTRATION_PERFORMANCE/BAND_10M", Real(0.0), "m")]
    performance_20m: Annotated[float, At("REGISTRATION_PERFORMANCE/BAND_20M", Real(0.0), "m")]
    performance_60m: Annotated[float, At("REGISTRATION_PERFORMANCE/BAND_60M", Real(0.0), "m")]
    reference_geolocation: Annotated[float, At("GEOLOCATION_PERFORMANCE/REFERENCE_GEOLOCATION", Real(0.0), "m")]
    footprint_step: Annotated[float, At("FOOTPRINT_STEP", Real(0.0), "m")]
    gcp_threshold: Annotated[float, At("GCP_DISTANCE_THRESHOLD", Real(0.0))]
    dem_factor: Annotated[int, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/GRID_STEP_FACTOR_DEM", Integer(1))]
    largest_step: Annotated[float, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/GRID_MAX_STEP", Real(0.0), "m")]
    low_resolution_factor: Annotated[int, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/LOW_RESOLUTION_FACTOR", Integer(1))]
    tile_columns: Annotated[int, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/TILES_SIZE/NB_OF_COLS", Integer(1))]
    tile_rows: Annotated[int, At("SIGMA_PARAMETERS/RESAMPLING_GRIDS/TILES_SIZE/NB_OF_ROWS", Integer(1))]
    filter: Annotated[ResamplingFilter, resampling("SIGMA_PARAMETERS/RESAMPLING/RESAMPLING_FILTER")]
    side: Annotated[str, At("SIGMA_PARAMETERS/RESAMPLING/RESAMPLING_SIDE_MANAGEMENT", SIDE_MANAGEMENT)]
    refinement: Annotated[Refinement, At("SIGMA_PARAMETERS/GEOMETRIC_MODEL_REFINING", Refinement)]
    registration: Annotated[Refinement, At("SIGMA_PARAMETERS/REGISTRATION", Refinement)]
