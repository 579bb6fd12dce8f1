"""A GIPP file as a whole: header, kind of file, reading and writing; what a record holds stands in its own module."""

import gzip
import io
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeVar

from lxml import etree

from s2dask.auxdata.gipp_fields import Fields, Scope, open_root
from s2dask.auxdata.gipp_record import At, Perhaps, checked, read_record, read_values, write_record
from s2dask.auxdata.gipp_values import Text
from s2dask.errors import InputError
from s2dask.instrument import BANDS

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_NAME_DATES = re.compile(r"_(\d{8}T\d{6})_V(\d{8}T\d{6})_(\d{8}T\d{6})_B\w\w(?:\.\w+)?$")


@dataclass(frozen=True, slots=True)
class GippHeader:
    """SPECIFIC_HEADER and what of HEADER is not the unit.

    Attributes
    ----------
    scheme_version, provider, consumer, parameter_id : str
        ``String`` in most real files.
    production_date : str
        UTC.
    start, stop : str
        APPLICABILITY_DATE and APPLICABILITY_END_DATE, UTC; stop empty: until a newer file.
    version : str
        Four digits.
    """

    scheme_version: str = "String"
    production_date: str = "2020-01-01T00:00:00.0Z"
    provider: str = "s2dask"
    consumer: str = "GPP-Light"
    start: str = "2015-06-22T00:00:00.0Z"
    stop: str = "2100-01-01T00:00:00.0Z"
    version: str = "0001"
    parameter_id: str = "String"

    @classmethod
    def of_name(cls, name: str, version: str = "0001") -> "GippHeader":
        """Return the header with the dates that a file name gives, or the default ones if it gives none."""
        match = _NAME_DATES.search(name)
        dates = [f"{d[:4]}-{d[4:6]}-{d[6:11]}:{d[11:13]}:{d[13:]}.0Z" for d in match.groups()] if match else []
        return cls(version=version, **dict(zip(("production_date", "start", "stop"), dates, strict=False)))


DEFAULT_HEADER: Final = GippHeader()


@dataclass(frozen=True, slots=True)
class _Interface:
    unit: Annotated[str, At("SATELLITE", Text())]
    scheme_version: Annotated[str, At("SCHEME_VERSION", Text())]
    production_date: Annotated[str | None, Perhaps(At("PRODUCTION_DATE", Text()))] = None
    provider: Annotated[str | None, Perhaps(At("PROVIDER", Text()))] = None
    consumer: Annotated[str | None, Perhaps(At("CONSUMER", Text()))] = None


@dataclass(frozen=True, slots=True)
class _Specific:
    type: Annotated[str | None, Perhaps(At("TYPE", Text()))]
    start: Annotated[str | None, Perhaps(At("APPLICABILITY_DATE", Text()))]
    stop: Annotated[str | None, Perhaps(At("APPLICABILITY_END_DATE", Text()))]
    version: Annotated[str, At("VERSION_NUMBER", Text())]
    parameter_id: Annotated[str | None, Perhaps(At("PARAMETER_ID", Text()))] = None


@dataclass(frozen=True, slots=True, eq=False)
class Gipp:
    """What every GIPP has.

    Attributes
    ----------
    unit : str
        ``S2A``.
    file : str
        Name of the file, for messages.
    header : GippHeader
        Version, validity interval and the other words of the header.
    """

    ROOT: ClassVar[str] = ""
    """Root element."""
    IDENTIFICATION: ClassVar[str] = ""
    """TYPE of the header without the unit (and band): A_GIPP_IDENTIFICATION of the schema."""

    unit: str
    file: str
    header: GippHeader = field(default=DEFAULT_HEADER, kw_only=True)


class GippRecord(Protocol):
    """A record that is a whole file: `Gipp`, or what has the same attributes in another order."""

    ROOT: ClassVar[str]
    IDENTIFICATION: ClassVar[str]

    @property
    def unit(self) -> str:
        """Unit of the file."""

    @property
    def file(self) -> str:
        """Name of the file."""

    @property
    def header(self) -> GippHeader:
        """Its header."""


G = TypeVar("G", bound=GippRecord)


def read_header(root: Fields) -> GippHeader:
    """Return the header of a GIPP; a version, or a date, that is none is refused."""
    interface = read_record(_Interface, root.child("HEADER"))
    specific = read_record(_Specific, root.child("SPECIFIC_HEADER"))
    for name, text in (("APPLICABILITY_DATE", specific.start), ("APPLICABILITY_END_DATE", specific.stop)):
        if text and not _UTC.fullmatch(text):
            raise root.refuse(f"{text[:40]!r} is no UTC date", f"SPECIFIC_HEADER/{name}")
    if not re.fullmatch(r"\d{4}", specific.version):
        raise root.refuse(f"{specific.version[:20]!r} is not four digits", "SPECIFIC_HEADER/VERSION_NUMBER")
    return GippHeader(
        interface.scheme_version,
        interface.production_date or "",
        interface.provider or "",
        interface.consumer or "",
        specific.start or "",
        specific.stop or "",
        specific.version,
        specific.parameter_id or "",
    )


def read_gipp_record(record: type[G], path: Path, unit: str, band: str = "", detectors: tuple[int, ...] = ()) -> G:
    """Read a GIPP into its record.

    Parameters
    ----------
    record : type
    path : Path
        ``.xml``, ``.DBL`` or ``.TGZ``.
    unit : str
        A file of another unit is refused.
    band : str
        Of a file of one band: a file of another band is refused; empty: whichever it is of.
    detectors : tuple of int
        Detectors to read, empty: every one.
    """
    root = open_root(path, record.ROOT, unit)
    data = root.child("DATA")
    scoped = Fields(data.element, data.file, data.path, Scope(band, tuple(detectors)))
    if not band and data.has("BAND_ID"):
        scoped = scoped.of_band(tuple(BANDS)[data.child("BAND_ID").integer(0, len(BANDS) - 1)])
    make: Any = record
    value: G = make(unit=unit, file=path.name, header=read_header(root), **read_values(record, scoped))
    return checked(value, scoped)


def document(value: GippRecord) -> etree._Element:
    """Return the root element of a GIPP with its header and an empty DATA."""
    band = str(getattr(value, "band", ""))
    part = f"BAND_NUMBER_{BANDS[band].index}_" if band else ""
    head = value.header
    root = etree.Element(value.ROOT)
    interface = _Interface(
        value.unit, head.scheme_version, head.production_date or None, head.provider or None, head.consumer or None
    )
    specific = _Specific(
        f"{value.unit}_{part}{value.IDENTIFICATION}",
        head.start or None,
        head.stop or None,
        head.version,
        head.parameter_id or None,
    )
    write_record(interface, etree.SubElement(root, "HEADER"))
    write_record(specific, etree.SubElement(root, "SPECIFIC_HEADER"))
    etree.SubElement(root, "DATA")
    return root


def as_text(root: etree._Element) -> str:
    """Return a document as text, indented."""
    etree.indent(root, "\t")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + etree.tostring(root, encoding="unicode") + "\n"


def write_gipp_record(value: GippRecord) -> str:
    """Return a GIPP as XML; what its own reader would refuse is refused here."""
    root = document(value)
    data = root.find("DATA")
    if data is None:
        raise InputError("no DATA", value.file)
    write_record(value, data)
    again = Fields(data, value.file, "/DATA", Scope(str(getattr(value, "band", ""))))
    checked(value, again)
    read_values(type(value), again)
    return as_text(root)


def pack(text: str, stem: str) -> bytes:
    """Return a GIPP as the archive in which it is distributed: a short header (``.HDR``) and the data (``.DBL``)."""
    header = (
        f"<Earth_Explorer_Header><Fixed_Header><File_Name>{stem}</File_Name></Fixed_Header></Earth_Explorer_Header>"
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for suffix, content in (("HDR", header.encode()), ("DBL", text.encode())):
            info = tarfile.TarInfo(f"{stem}.{suffix}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), 6, mtime=0)
