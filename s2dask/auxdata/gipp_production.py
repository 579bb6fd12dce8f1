"""GIPPs whose structure is not public: PROBAS, JP2KPA, CONVER, CLOPAR.

Their purposes are public (processing baseline by level, JPEG 2000 encoder, stretch of the true colour image, cloud mask
of L1C); the elements are ours, in the style of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from s2dask.auxdata.gipp_fields import Fields
from s2dask.auxdata.gipp_file import Gipp
from s2dask.auxdata.gipp_record import At, Table
from s2dask.auxdata.gipp_values import BandIndex, Flag, Integer, Real, Text, Word

_REFLECTANCE = Real(0.0, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class ProcessingBaseline(Gipp):
    """GIP_PROBAS.

    Attributes
    ----------
    baselines : mapping of str to str
        What PROCESSING_BASELINE says, by level: ``05.11``.
    """

    ROOT: ClassVar[str] = "GS2_PROCESSING_BASELINE"
    IDENTIFICATION: ClassVar[str] = "PROCESSING_BASELINE_FILE"

    baselines: Annotated[
        Mapping[str, str],
        Table("PROCESSING_BASELINE", "@level", Word.of("L0", "L1A", "L1B", "L1C"), Text()),
    ]

    def check(self, at: Fields) -> None:
        """Refuse what is no baseline number."""
        for level, text in self.baselines.items():
            parts = text.split(".")
            if [len(part) for part in parts] != [2, 2] or not text.replace(".", "").isdigit():
                raise at.refuse(f"{text[:20]!r} is no number like 05.11", f"PROCESSING_BASELINE[level={level}]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the images of a level and band are encoded.

    Attributes
    ----------
    compression : str
        ``LOSSLESS`` or ``LOSSY``.
    rate : float
        Bits per pixel of a lossy image; 0 for a lossless one.
    resolutions, layers : int
    tile_columns, tile_rows : int
    """

    compression: Annotated[str, At("COMPRESSION_TYPE", Word.of("LOSSLESS", "LOSSY"))]
    rate: Annotated[float, At("BIT_RATE", Real(0.0, 16.0))]
    resolutions: Annotated[int, At("NUMBER_OF_RESOLUTIONS", Integer(1, 33))]
    layers: Annotated[int, At("NUMBER_OF_LAYERS", Integer(1, 65_535))]
    tile_columns: Annotated[int, At("TILE_SIZE/NB_OF_COLS", Integer(1))]
    tile_rows: Annotated[int, At("TILE_SIZE/NB_OF_ROWS", Integer(1))]


@dataclass(frozen=True, slots=True, eq=False)
class ImageEncoding(Gipp):
    """GIP_JP2KPA.

    Attributes
    ----------
    threads : int
        NUMBER_OF_THREAD.
    levels : mapping of str to (mapping of str to Encoding)
        By level, then band.
    """

    ROOT: ClassVar[str] = "GS2_JP2K_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "JP2K_PARAMETERS_FILE"

    threads: Annotated[int, At("NUMBER_OF_THREAD", Integer(1, 1024))]
    levels: Annotated[
        Mapping[str, Mapping[str, Encoding]],
        Table(
            "LEVEL",
            "@level",
            Word.of("L0", "L1A", "L1B", "L1C"),
            Table("BAND", "@band_id", BandIndex(), Encoding),
        ),
    ]


@dataclass(frozen=True, slots=True)
class Stretch:
    """How the reflectance of a band becomes 8 bits.

    Attributes
    ----------
    lowest, highest : float
        Reflectances of 1 and 255 [1].
    gamma : float
    """

    lowest: Annotated[float, At("REFLECTANCE_MIN", _REFLECTANCE)]
    highest: Annotated[float, At("REFLECTANCE_MAX", _REFLECTANCE)]
    gamma: Annotated[float, At("GAMMA", Real(0.0, 10.0, open_low=True))]

    def check(self, at: Fields) -> None:
        """Refuse limits in the wrong order."""
        if self.lowest >= self.highest:
            raise at.refuse(f"{self.lowest:g} is not below {self.highest:g}", "REFLECTANCE_MIN")


@dataclass(frozen=True, slots=True, eq=False)
class Conversion(Gipp):
    """GIP_CONVER: the stretch of the true colour and preview images.

    Attributes
    ----------
    bands : mapping of str to Stretch
        Of B02, B03, B04.
    """

    ROOT: ClassVar[str] = "GS2_CONVERSION_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "CONVERSION_PARAMETERS_FILE"

    bands: Annotated[
        Mapping[str, Stretch],
        Table("BAND", "@band_id", BandIndex(("B02", "B03", "B04")), Stretch, "", ("B02", "B03", "B04")),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class CloudParameters(Gipp):
    """GIP_CLOPAR: the cloud mask of L1C.

    Attributes
    ----------
    blue, cirrus_lowest, cirrus_highest, swir, snow : float
        Reflectances of opaque clouds (B01), cirrus (B10), the SWIR limit (B11) and snow (B12) [1].
    filtering : bool
        Whether the mask is eroded and dilated.
    erosion, dilation : int
        [pixel]
    """

    ROOT: ClassVar[str] = "GS2_CLOUD_PARAMETERS"
    IDENTIFICATION: ClassVar[str] = "CLOUD_PARAMETERS_FILE"

    blue: Annotated[float, At("OPAQUE_CLOUDS/REFL_BLUE_MIN", _REFLECTANCE)]
    swir: Annotated[float, At("OPAQUE_CLOUDS/REFL_SWIR_MIN", _REFLECTANCE)]
    cirrus_lowest: Annotated[float, At("CIRRUS_CLOUDS/REFL_B10_MIN", _REFLECTANCE)]
    cirrus_highest: Annotated[float, At("CIRRUS_CLOUDS/REFL_B10_MAX", _REFLECTANCE)]
    snow: Annotated[float, At("SNOW/REFL_SWIR_MAX", _REFLECTANCE)]
    filtering: Annotated[bool, At("FILTERING/CLOUD_FILTERING", Flag())]
    erosion: Annotated[int, At("FILTERING/SIZE_EROSION", Integer(0, 10_000))]
    dilation: Annotated[int, At("FILTERING/SIZE_DILATATION", Integer(0, 10_000))]
