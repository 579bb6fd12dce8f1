"""The GIPPs of the inventory quicklook: CLOINV (clouds), LREXTR (low-resolution extraction), INVLOC (location).

A_CLOUD_INV_PARAMETERS, A_LR_EXTRACTION_PARAMETERS and AN_INIT_LOC_INV_PARAMETERS of the GIPP dictionary. The words that
name the file types (TYPE) are those of A_GIPP_IDENTIFICATION, the root elements those of the real files of the family.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp
from s2dask.auxdata.gipp_filters import SIDE_MANAGEMENT, InternalFilter, ResamplingFilter, resampling
from s2dask.auxdata.gipp_record import At, Several, Table
from s2dask.auxdata.gipp_values import BandIndex, DetectorId, Flag, Integer, Real, Reals


@dataclass(frozen=True, slots=True, eq=False)
class CloudInventory(Gipp):
    """GIP_CLOINV: the thresholds of the cloud mask of the quicklook.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    blue, cirrus, swir : float
        REFL_BLUE_MAX (B02), REFL_B10_MAX (B10), REFL_SWIR_MAX (B11): reflectances [1].
    filtering : bool
        Whether the mask is eroded and dilated.
    erosion, dilation : int
        SIZE_EROSION and SIZE_DILATATION: sizes of the neighbourhoods [pixel].
    """

    ROOT: ClassVar[str] = "GS2_CLOUD_INV_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "CLOUD_INV_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    blue: Annotated[float, At("REFL_BLUE_MAX", Real(0.0, 10.0))]
    cirrus: Annotated[float, At("REFL_B10_MAX", Real(0.0, 10.0))]
    swir: Annotated[float, At("REFL_SWIR_MAX", Real(0.0, 10.0))]
    filtering: Annotated[bool, At("CLOUD_FILTERING", Flag())]
    erosion: Annotated[int, At("SIZE_EROSION", Integer(0, 10_000))]
    dilation: Annotated[int, At("SIZE_DILATATION", Integer(0, 10_000))]


@dataclass(frozen=True, slots=True)
class Extraction:
    """How an image is resampled to the low resolution.

    Attributes
    ----------
    filter : InternalFilter
    side : str
        ``EXACT`` or ``MIRROR``.
    """

    filter: Annotated[InternalFilter, At("RESAMPLING_FILTER/INTERNAL_FILTER", InternalFilter)]
    side: Annotated[str, At("RESAMPLING_SIDE_MANAGEMENT", SIDE_MANAGEMENT)]


@dataclass(frozen=True, slots=True, eq=False)
class LowResolutionExtraction(Gipp):
    """GIP_LREXTR.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    bands : tuple of str
        The five bands of the quicklook.
    compressed, uncompressed : Extraction
        By the mode in which the image was downlinked.
    """

    ROOT: ClassVar[str] = "GS2_LR_EXTRACTION_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "LR_EXTRACTION_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    bands: Annotated[tuple[str, ...], Several("BAND_ID", BandIndex(), "BAND_LIST", 5, 5, unique=True)]
    compressed: Annotated[Extraction, At("MODE/COMPRESSED", Extraction)]
    uncompressed: Annotated[Extraction, At("MODE/UNCOMPRESSED", Extraction)]


@dataclass(frozen=True, slots=True, eq=False)
class DisplayModel:
    """DISPLAY_GEOMETRIC_MODEL: the monolithic geometry in which the quicklook is shown.

    Attributes
    ----------
    columns : int
        NB_OF_PIXELS.
    tan_x, tan_y : (column) float64
        Tangents of the viewing angles across and along track.
    connections : mapping of int to int
        CONNECT_COL: last column of each of the first eleven detectors.
    """

    columns: Annotated[int, At("VIEWING_DIRECTIONS/NB_OF_PIXELS", Integer(1, 1_000_000))]
    tan_x: Annotated[NDArray[np.float64], At("VIEWING_DIRECTIONS/TAN_PSI_X_LIST", Reals(None, -1.0, 1.0))]
    tan_y: Annotated[NDArray[np.float64], At("VIEWING_DIRECTIONS/TAN_PSI_Y_LIST", Reals(None, -1.0, 1.0))]
    connections: Annotated[
        Mapping[int, int],
        Table(
            "CONNECT_COL",
            "@detector_id",
            DetectorId(),
            Integer(0, 1_000_000),
            "CONNECT_COL_LIST",
            tuple(range(1, 12)),
        ),
    ]

    def check(self, at: Fields) -> None:
        """Refuse lists of another length than is said, or columns that they do not have."""
        for axis, values in (("X", self.tan_x), ("Y", self.tan_y)):
            if values.size != self.columns:
                raise at.refuse(
                    f"{values.size} values instead of {self.columns}", f"VIEWING_DIRECTIONS/TAN_PSI_{axis}_LIST"
                )
        if max(self.connections.values()) >= self.columns:
            raise at.refuse(f"column outside 0 to {self.columns - 1}", "CONNECT_COL_LIST/CONNECT_COL")


@dataclass(frozen=True, slots=True, eq=False)
class InventoryLocation(Gipp):
    """GIP_INVLOC.

    Attributes
    ----------
    trace : bool
        TRACE_MODE; not used.
    resolution : float
        Of the quicklook [m].
    bands : tuple of str
        The five bands of the quicklook.
    display : DisplayModel
    histogram_bin : int
        QL_HISTOGRAM_BIN_SIZE [LSB].
    grid_step : float
        Of the grid between the geometry of the quicklook and the one of display [pixel].
    filter : InternalFilter or ImageFilter
    side : str
        ``EXACT`` or ``MIRROR``.
    footprint_step, auxiliary_step : float
        FOOTPRINT_STEP and AUX_DATA_STEP [m].
    """

    ROOT: ClassVar[str] = "GS2_INIT_LOC_INV_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "INIT_LOC_INV_PARAMETERS_FILE"

    trace: Annotated[bool, At("TRACE_MODE", Flag())]
    resolution: Annotated[float, At("QL_RESOLUTION", Real(1.0, 1e5), "m")]
    bands: Annotated[tuple[str, ...], Several("QL_BAND", BandIndex(), "QL_BAND_LIST", 5, 5, unique=True)]
    display: Annotated[DisplayModel, At("DISPLAY_GEOMETRIC_MODEL", DisplayModel)]
    histogram_bin: Annotated[int, At("QL_HISTOGRAM_BIN_SIZE", Integer(1, 65_536))]
    grid_step: Annotated[float, At("RESAMPLING/GRID_STEP", Real(0.0, 1e5, open_low=True))]
    filter: Annotated[ResamplingFilter, resampling("RESAMPLING/RESAMPLING_FILTER")]
    side: Annotated[str, At("RESAMPLING/RESAMPLING_SIDE_MANAGEMENT", SIDE_MANAGEMENT)]
    footprint_step: Annotated[float, At("AUXILIARY_DATA/FOOTPRINT_STEP", Real(0.0, 1e6, open_low=True), "m")]
    auxiliary_step: Annotated[float, At("AUXILIARY_DATA/AUX_DATA_STEP", Real(0.0, 1e6, open_low=True), "m")]
