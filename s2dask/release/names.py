"""Names of products, datastrips, granules, tiles and image files, as the Product Specification Document writes them.

Every name is a frozen dataclass that says of which fields and texts it is made (`s2dask.release.name_form`):
``str(name)`` builds it, ``parse`` reads it, and the two are inverse.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from s2dask.release.name_form import Field, Name, compact_time, dated, numbered, padded

_UNIT: Final = Field("unit", r"S2[A-Z]")
_SITE: Final = padded("site", r"\w{4}", 4)
_TILE: Final = Field("tile", r"\d\d[A-Z]{3}")
_BASELINE: Final = Field("baseline", r"\d\d\.\d\d")
_SHORT_BASELINE: Final = Field(
    "baseline", r"\d{4}", lambda text: f"{text[:2]}.{text[2:]}", lambda value: value.replace(".", "")
)
_TILE_LEVEL: Final = Field("level", "L1C|L2A")
_GRANULE_LEVEL: Final = padded("level", "L0_|L0U|L0C|L1A|L1B", 3)
_STRIP_LEVEL: Final = padded("level", "L0_|L0U|L0C|L1A|L1B|L1C|L2A", 3)


@dataclass(frozen=True, slots=True)
class ProductName(Name):
    """Compact name of an L1C or L2A product: ``S2A_MSIL1C_20200816T120221_N0511_R023_T28SCB_20200816T143017``.

    Attributes
    ----------
    unit : str
        ``S2A``.
    level : str
        ``L1C`` or ``L2A``.
    datatake_start : datetime
    baseline : str
        ``05.11``, written ``N0511``.
    relative_orbit : int
    tile : str
        ``28SCB``.
    discriminator : datetime
        Tells products of one datatake and tile apart: the time of generation.
    """

    unit: str
    level: str
    datatake_start: datetime
    baseline: str
    relative_orbit: int
    tile: str
    discriminator: datetime

    KIND = "product"
    FORM = (
        _UNIT, "_MSI", _TILE_LEVEL, "_", dated("datatake_start"), "_N", _SHORT_BASELINE, "_R",
        numbered("relative_orbit", 3), "_T", _TILE, "_", dated("discriminator"),
    )  # fmt: skip
    SUFFIX = r"(?:\.SAFE|\.zarr|\.zip|\.SAFE\.zip)?"

    @property
    def safe(self) -> str:
        """Name of the SAFE folder."""
        return f"{self}.SAFE"

    @property
    def zarr(self) -> str:
        """Name of the Zarr store."""
        return f"{self}.zarr"


@dataclass(frozen=True, slots=True)
class DatastripName(Name):
    """Identifier of a datastrip of any level: ``S2A_OPER_MSI_L1B_DS_S2DK_20200816T143017_S20200816T120221_N05.11``.

    Attributes
    ----------
    unit, level : str
        ``S2A``, one of ``L0 L0U L0C L1A L1B L1C L2A``; L0U is unconsolidated and of baseline ``00.00``, consolidated
        products (L0C) go by the name of L0.
    site : str
        Processing centre, four characters at most; shorter ones are padded with underscores.
    created, sensing_start : datetime
    baseline : str
        ``05.11``.
    """

    unit: str
    level: str
    site: str
    created: datetime
    sensing_start: datetime
    baseline: str

    KIND = "datastrip"
    FORM = (
        _UNIT, "_OPER_MSI_", _STRIP_LEVEL, "_", "DS_", _SITE, "_", dated("created"), "_S", dated("sensing_start"),
        "_N", _BASELINE,
    )  # fmt: skip
    SUFFIX = r"(?:\.zarr)?"

    @property
    def folder(self) -> str:
        """Folder below DATASTRIP: ``DS_S2DK_20200816T143017_S20200816T120221``."""
        return self._written(4, -2)

    @property
    def zarr(self) -> str:
        """Name of the Zarr store."""
        return f"{self}.zarr"

    @property
    def metadata(self) -> str:
        """Name of the metadata file: ``S2A_OPER_MTD_L0__DS_….xml``, without the baseline."""
        return f"{self._of('MTD')}.xml"

    def _of(self, kind: str) -> str:
        return f"{self.unit}_OPER_{kind}_{self.level:_<3}_{self.folder}"

    def report(self, checklist: str) -> str:
        """Return the name of the report of a checklist."""
        return f"{self._of('MSI')}_{checklist}_report.xml"

    def quicklook(self, band: str) -> str:
        """Return the name of the quick-look of a band (L0)."""
        return f"{self._of('QLK')}_{band}.jp2"


@dataclass(frozen=True, slots=True)
class GranuleName(Name):
    """Identifier of an L0, L1A or L1B granule (detector x scene): ``…_GR_S2DK_…_S20200816T120221_D05_N05.11``."""

    unit: str
    level: str
    site: str
    created: datetime
    sensing_time: datetime
    detector: int
    baseline: str

    KIND = "granule"
    FORM = (
        _UNIT, "_OPER_MSI_", _GRANULE_LEVEL, "_GR_", _SITE, "_", dated("created"), "_S", dated("sensing_time"), "_D",
        numbered("detector", 2), "_N", _BASELINE,
    )  # fmt: skip

    @property
    def _stem(self) -> str:
        return self._written(0, -2)

    def image(self, band: str) -> str:
        """Return the name of the image file of a band."""
        return f"{self._stem}_{band}.jp2"

    def mask(self, band: str) -> str:
        """Return the name of the quality mask of a band (L1A, L1B): ``…_MSK_QUALIT_…_D05_B04_MSIL1B``, no suffix."""
        return f"{self.unit}_OPER_MSK_QUALIT_{self._written(4, -2)}_{band}_MSI{self.level}"

    def packets(self, band: str) -> str:
        """Return the name of the file of source packets of a band (L0)."""
        return f"{self._stem}_{band}.bin"

    @property
    def metadata(self) -> str:
        """Name of the metadata file: ``S2A_OPER_MTD_L0__GR_…_D05.xml``, without the baseline."""
        return f"{self._stem.replace('_MSI_', '_MTD_')}.xml"

    def report(self, checklist: str) -> str:
        """Return the name of the report of a checklist."""
        return f"{self._stem}_{checklist}_report.xml"


@dataclass(frozen=True, slots=True)
class AncillaryName(Name):
    """File of ancillary packets: ``S2B_OPER_AUX_S09123_REFS_20221124T163650_V20221011T064029_…_A000034_WF_LN``.

    Attributes
    ----------
    unit : str
    content : str
        ``SADATA``, or ``S``, APID // 16 in two digits and the SID in three: ``S09123``.
    site : str
    created, start, stop : datetime
        The packets of a real file begin and end outside of start and stop.
    orbit : int
        Relative in the files of a datastrip, absolute in AUX_SADATA.
    """

    unit: str
    content: str
    site: str
    created: datetime
    start: datetime
    stop: datetime
    orbit: int

    KIND = "file of ancillary data"
    FORM = (
        _UNIT, "_OPER_AUX_", Field("content", r"SADATA|S\d{5}"), "_", _SITE, "_", dated("created"), "_V",
        dated("start"), "_", dated("stop"), "_A", numbered("orbit", 6), "_WF_LN",
    )  # fmt: skip
    SUFFIX = r"(?:\.bin)?"


@dataclass(frozen=True, slots=True)
class HousekeepingName(Name):
    """Product of housekeeping telemetry: ``S2A_OPER_PRD_HKTM___20191203T051837_20191203T051842_0001``.

    Attributes
    ----------
    unit : str
    start, stop : datetime
        First and last frame received.
    number : int
    """

    unit: str
    start: datetime
    stop: datetime
    number: int = 1

    KIND = "HKTM product"
    FORM = (_UNIT, "_OPER_PRD_HKTM___", dated("start"), "_", dated("stop"), "_", numbered("number", 4))
    SUFFIX = r"(?:\.SAFE)?"

    @property
    def measurement(self) -> str:
        """Name of the file of frames."""
        return f"{self}-measurement.dat"

    @property
    def annotation(self) -> str:
        """Name of the file of annotations."""
        return f"{self}-annotation.dat"


@dataclass(frozen=True, slots=True)
class TileName(Name):
    """Identifier of an L1C or L2A tile: ``S2A_OPER_MSI_L1C_TL_S2DK_20200816T143017_A026904_T28SCB_N05.11``."""

    unit: str
    level: str
    site: str
    created: datetime
    absolute_orbit: int
    tile: str
    baseline: str

    KIND = "tile"
    FORM = (
        _UNIT, "_OPER_MSI_", _TILE_LEVEL, "_TL_", _SITE, "_", dated("created"), "_A", numbered("absolute_orbit", 6),
        "_T", _TILE, "_N", _BASELINE,
    )  # fmt: skip

    def folder(self, sensing_start: datetime) -> str:
        """Return the folder below GRANULE: ``L1C_T28SCB_A026904_20200816T120222``."""
        return f"{self.level}_T{self.tile}_A{self.absolute_orbit:06d}_{compact_time(sensing_start)}"


@dataclass(frozen=True, slots=True)
class ImageName(Name):
    """Image file of a tile: ``T28SCB_20200816T120221_B02.jp2``, at L2A ``…_B02_10m.jp2``.

    Attributes
    ----------
    tile : str
        ``28SCB``.
    datatake_start : datetime
    content : str
        ``B02``, ``TCI``, ``PVI``, ``AOT``, ``WVP``, ``SCL``.
    resolution : int or None
        [m], at L2A only.
    """

    tile: str
    datatake_start: datetime
    content: str
    resolution: int | None = None

    KIND = "image file"
    FORM = (
        "T", _TILE, "_", dated("datatake_start"), "_", Field("content", "B(?:0[1-9]|1[0-2]|8A)|TCI|PVI|AOT|WVP|SCL"),
        Field(
            "resolution", "(?:_(?:10|20|60)m)?", lambda text: int(text[1:-1]) if text else None,
            lambda size: f"_{size}m" if size else "",
        ),
    )  # fmt: skip
    SUFFIX = r"(?:\.jp2)?"

    def __str__(self) -> str:
        return f"{self.stem}.jp2"

    @property
    def stem(self) -> str:
        """The name without suffix, as IMAGE_FILE of the metadata has it."""
        return self._written()
