"""Names of products, datastrips, granules, tiles and image files, as the Product Specification Document writes them.

Every name is a frozen dataclass: ``str(name)`` builds it, ``parse`` reads it, and the two are inverse.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from s2dask.errors import InputError

_TIME: Final = r"\d{8}T\d{6}"
_STRIP_LEVEL: Final = "L0_|L0U|L0C|L1A|L1B"
_BAND: Final = r"B(?:0[1-9]|1[0-2]|8A)"


def compact_time(moment: datetime) -> str:
    """Return ``20200816T120221``, UTC, truncated to the second."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


def parse_compact_time(text: str) -> datetime:
    """Read ``20200816T120221`` as UTC."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise InputError(f"no date: {error}", text, "expected YYYYMMDDTHHMMSS") from None


def parse_iso(text: str) -> datetime:
    """Read an ISO date of the metadata, ``2020-08-16T12:02:21.024Z``, as UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"no ISO date: {error}", text, "expected YYYY-MM-DDTHH:MM:SS.sssZ") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _match(pattern: str, text: str, kind: str) -> re.Match[str]:
    found = re.fullmatch(pattern, text)
    if found is None:
        raise InputError(f"not the name of a {kind}", text, f"expected {pattern}")
    return found


@dataclass(frozen=True, slots=True)
class ProductName:
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

    def __str__(self) -> str:
        return (
            f"{self.unit}_MSI{self.level}_{compact_time(self.datatake_start)}_N{self.baseline.replace('.', '')}"
            f"_R{self.relative_orbit:03d}_T{self.tile}_{compact_time(self.discriminator)}"
        )

    @property
    def safe(self) -> str:
        """Name of the SAFE folder."""
        return f"{self}.SAFE"

    @property
    def zarr(self) -> str:
        """Name of the Zarr store."""
        return f"{self}.zarr"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, with or without ``.SAFE``, ``.zarr`` or ``.zip``."""
        m = _match(
            rf"(S2[A-Z])_MSI(L1C|L2A)_({_TIME})_N(\d\d)(\d\d)_R(\d{{3}})_T(\d\d[A-Z]{{3}})_({_TIME})"
            r"(?:\.SAFE|\.zarr|\.zip|\.SAFE\.zip)?",
            text,
            "product",
        )
        return cls(m[1], m[2], parse_compact_time(m[3]), f"{m[4]}.{m[5]}", int(m[6]), m[7], parse_compact_time(m[8]))


@dataclass(frozen=True, slots=True)
class DatastripName:
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

    def __str__(self) -> str:
        return f"{self.unit}_OPER_MSI_{self.level:_<3}_{self.folder}_N{self.baseline}"

    @property
    def folder(self) -> str:
        """Folder below DATASTRIP: ``DS_S2DK_20200816T143017_S20200816T120221``."""
        return f"DS_{self.site:_<4}_{compact_time(self.created)}_S{compact_time(self.sensing_start)}"

    @property
    def zarr(self) -> str:
        """Name of the Zarr store."""
        return f"{self}.zarr"

    @property
    def metadata(self) -> str:
        """Name of the metadata file: ``S2A_OPER_MTD_L0__DS_….xml``, without the baseline."""
        return f"{self.unit}_OPER_MTD_{self.level:_<3}_{self.folder}.xml"

    def report(self, checklist: str) -> str:
        """Return the name of the report of a checklist."""
        return f"{self.unit}_OPER_MSI_{self.level:_<3}_{self.folder}_{checklist}_report.xml"

    def quicklook(self, band: str) -> str:
        """Return the name of the quick-look of a band (L0)."""
        return f"{self.unit}_OPER_QLK_{self.level:_<3}_{self.folder}_{band}.jp2"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identifier, with or without ``.zarr``."""
        m = _match(
            rf"(S2[A-Z])_OPER_MSI_({_STRIP_LEVEL}|L1C|L2A)_DS_(\w{{4}})_({_TIME})_S({_TIME})_N(\d\d\.\d\d)(?:\.zarr)?",
            text,
            "datastrip",
        )
        return cls(m[1], m[2].rstrip("_"), m[3].rstrip("_"), parse_compact_time(m[4]), parse_compact_time(m[5]), m[6])


@dataclass(frozen=True, slots=True)
class GranuleName:
    """Identifier of an L0, L1A or L1B granule (detector x scene): ``…_GR_S2DK_…_S20200816T120221_D05_N05.11``."""

    unit: str
    level: str
    site: str
    created: datetime
    sensing_time: datetime
    detector: int
    baseline: str

    def __str__(self) -> str:
        return f"{self._stem}_N{self.baseline}"

    @property
    def _stem(self) -> str:
        return (
            f"{self.unit}_OPER_MSI_{self.level:_<3}_GR_{self.site:_<4}_{compact_time(self.created)}"
            f"_S{compact_time(self.sensing_time)}_D{self.detector:02d}"
        )

    def image(self, band: str) -> str:
        """Return the name of the image file of a band."""
        return f"{self._stem}_{band}.jp2"

    def mask(self, band: str) -> str:
        """Return the name of the quality mask of a band (L1A, L1B): ``…_MSK_QUALIT_…_D05_B04_MSIL1B``, no suffix."""
        place = self._stem.split(f"_{self.level:_<3}_GR_")[1]
        return f"{self.unit}_OPER_MSK_QUALIT_{place}_{band}_MSI{self.level}"

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

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identifier."""
        m = _match(
            rf"(S2[A-Z])_OPER_MSI_({_STRIP_LEVEL})_GR_(\w{{4}})_({_TIME})_S({_TIME})_D(\d\d)_N(\d\d\.\d\d)",
            text,
            "granule",
        )
        return cls(
            m[1],
            m[2].rstrip("_"),
            m[3].rstrip("_"),
            parse_compact_time(m[4]),
            parse_compact_time(m[5]),
            int(m[6]),
            m[7],
        )


@dataclass(frozen=True, slots=True)
class AncillaryName:
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

    def __str__(self) -> str:
        return (
            f"{self.unit}_OPER_AUX_{self.content}_{self.site:_<4}_{compact_time(self.created)}"
            f"_V{compact_time(self.start)}_{compact_time(self.stop)}_A{self.orbit:06d}_WF_LN"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, with or without ``.bin``."""
        m = _match(
            rf"(S2[A-Z])_OPER_AUX_(SADATA|S\d{{5}})_(\w{{4}})_({_TIME})_V({_TIME})_({_TIME})_A(\d{{6}})_WF_LN(?:\.bin)?",
            text,
            "file of ancillary data",
        )
        created, start, stop = (parse_compact_time(m[i]) for i in (4, 5, 6))
        return cls(m[1], m[2], m[3].rstrip("_"), created, start, stop, int(m[7]))


@dataclass(frozen=True, slots=True)
class HousekeepingName:
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

    def __str__(self) -> str:
        return f"{self.unit}_OPER_PRD_HKTM___{compact_time(self.start)}_{compact_time(self.stop)}_{self.number:04d}"

    @property
    def measurement(self) -> str:
        """Name of the file of frames."""
        return f"{self}-measurement.dat"

    @property
    def annotation(self) -> str:
        """Name of the file of annotations."""
        return f"{self}-annotation.dat"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, with or without ``.SAFE``."""
        m = _match(rf"(S2[A-Z])_OPER_PRD_HKTM___({_TIME})_({_TIME})_(\d{{4}})(?:\.SAFE)?", text, "HKTM product")
        return cls(m[1], parse_compact_time(m[2]), parse_compact_time(m[3]), int(m[4]))


@dataclass(frozen=True, slots=True)
class TileName:
    """Identifier of an L1C or L2A tile: ``S2A_OPER_MSI_L1C_TL_S2DK_20200816T143017_A026904_T28SCB_N05.11``."""

    unit: str
    level: str
    site: str
    created: datetime
    absolute_orbit: int
    tile: str
    baseline: str

    def __str__(self) -> str:
        return (
            f"{self.unit}_OPER_MSI_{self.level}_TL_{self.site:_<4}_{compact_time(self.created)}"
            f"_A{self.absolute_orbit:06d}_T{self.tile}_N{self.baseline}"
        )

    def folder(self, sensing_start: datetime) -> str:
        """Return the folder below GRANULE: ``L1C_T28SCB_A026904_20200816T120222``."""
        return f"{self.level}_T{self.tile}_A{self.absolute_orbit:06d}_{compact_time(sensing_start)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identifier."""
        m = _match(
            rf"(S2[A-Z])_OPER_MSI_(L1C|L2A)_TL_(\w{{4}})_({_TIME})_A(\d{{6}})_T(\d\d[A-Z]{{3}})_N(\d\d\.\d\d)",
            text,
            "tile",
        )
        return cls(m[1], m[2], m[3].rstrip("_"), parse_compact_time(m[4]), int(m[5]), m[6], m[7])


@dataclass(frozen=True, slots=True)
class ImageName:
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

    def __str__(self) -> str:
        return f"{self.stem}.jp2"

    @property
    def stem(self) -> str:
        """The name without suffix, as IMAGE_FILE of the metadata has it."""
        size = f"_{self.resolution}m" if self.resolution else ""
        return f"T{self.tile}_{compact_time(self.datatake_start)}_{self.content}{size}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a file name."""
        m = _match(
            rf"T(\d\d[A-Z]{{3}})_({_TIME})_({_BAND}|TCI|PVI|AOT|WVP|SCL)(?:_(10|20|60)m)?(?:\.jp2)?", text, "image file"
        )
        return cls(m[1], parse_compact_time(m[2]), m[3], int(m[4]) if m[4] else None)
