"""Items to check: a PDI or SAFE folder (or zip) of any level, the same without its pixels, or a Zarr product."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from lxml import etree

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.io.eopf_reader import tile_facts
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.storage import exists, is_local
from s2dask.qc.images import Image, ZarrImage, lost_share, raster_images, zarr_images
from s2dask.qc.pixels import Statistics, statistics

_ROOT: Final = re.compile(r"(?:DIMAP_)?Level-(\w+?)(?:-unconsolidated)?_(DataStrip|Granule|Tile|User_Product)(?:_ID)?")
_KINDS: Final = {"DataStrip": "DATASTRIP", "Granule": "GRANULE", "Tile": "TILE", "User_Product": "PRODUCT"}
_LEVELS: Final = {"0": "L0", "1A": "L1A", "1B": "L1B", "1C": "L1C", "2A": "L2A"}
_METADATA: Final = re.compile(r"(MTD_(MSIL\w\w|DS|TL)|S2._\w{4}_MTD_\w+)\.xml")
_L2A_REPORT: Final = "L2A_QUALITY.xml"


@dataclass(frozen=True)
class Item:
    """What is checked at once: a datastrip, granule, tile or product.

    Attributes
    ----------
    kind : {"DATASTRIP", "GRANULE", "TILE", "PRODUCT"}
    level : {"L0", "L1A", "L1B", "L1C", "L2A"}
    name : str
        Identifier, with the baseline.
    metadata : str
        Its metadata file, relative to its folder; empty at a Zarr.
    inputs : mapping of str to tuple of str
        Where its metadata tell the inputs of checks.
    archive : SafeArchive or None
        The folder or zip that it lies in; None at a Zarr.
    prefix : str
        Its folder in that of the product that it is part of, with a slash; empty when it lies alone.
    record : mapping
        What is told without metadata: statistics, attributes of a Zarr.
    url : str
        Of a Zarr.
    look : bool
        Whether pixels may be read.
    is_part : bool
        Whether it lies in a product, whose manifest is not its own.
    context : tuple of str
        Metadata files of the product around it, which may tell what it does not.
    parsed : dict of str to Element
        XML files that are read already, by archive name: the items of a product share them.
    """

    kind: str
    level: str
    name: str
    metadata: str
    inputs: Mapping[str, tuple[str, ...]] = field(repr=False)
    archive: SafeArchive | None = None
    prefix: str = ""
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    url: str = ""
    look: bool = True
    is_part: bool = False
    context: tuple[str, ...] = ()
    parsed: dict[str, etree._Element] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Files of the item, relative to its folder."""
        names = () if self.archive is None else self.archive.names
        return tuple(name.removeprefix(self.prefix) for name in names if name.startswith(self.prefix))

    def opened(self, name: str) -> AbstractContextManager[tuple[IO[bytes], int]]:
        """Return what opens a file of the item: a binary file and its size [bytes]."""
        if self.archive is None:
            raise InputMissing("no files", self.name, "give a SAFE or a PDI folder")
        return self.archive.stream(self.prefix + name)

    def document(self, name: str) -> etree._Element | None:
        """Return the root of an XML file of the item, None where there is none."""
        if self.archive is None or name not in self.files:
            return None
        return self._xml(self.prefix + name)

    def _xml(self, name: str) -> etree._Element:
        if name not in self.parsed and self.archive is not None:
            self.parsed[name] = self.archive.xml(name)
        return self.parsed[name]

    @cached_property
    def root(self) -> etree._Element | None:
        """Root of the metadata file, None where it is no XML."""
        try:
            return self.document(self.metadata)
        except InputError:
            return None

    @cached_property
    def manifest(self) -> etree._Element | None:
        """Root of the manifest."""
        return self.document("manifest.safe")

    @cached_property
    def _around(self) -> tuple[etree._Element, ...]:
        return tuple(self._xml(name) for name in self.context)

    @cached_property
    def _reported(self) -> dict[str, str]:
        """Return what the report of Level-2A that lies with a tile tells, by name."""
        found = [name for name in self.files if name.endswith(_L2A_REPORT)]
        root = self.document(found[0]) if found else None
        told = (
            {} if root is None else {v.get("name") or "": (v.text or "").strip() for v in root.iterfind(".//{*}value")}
        )
        return {(f"negative.{name}" if re.fullmatch(r"B\d[\dA]", name) else name): text for name, text in told.items()}

    def elements(self, path: str, root: etree._Element | None = None) -> list[etree._Element]:
        """Return the elements at a path of local names, at any depth of the metadata."""
        root = self.root if root is None else root
        if root is None:
            return []
        return list(root.iterfind(".//" + "/".join(f"{{*}}{part}" for part in path.split("/"))))

    def stated(self, path: str, root: etree._Element | None = None) -> list[str]:
        """Return the texts at a path of local names, or those of an attribute: ``Image_Refining@flag``."""
        path, _, attribute = path.partition("@")
        found = self.elements(path, root)
        texts = [(e.get(attribute) if attribute else e.text) or "" for e in found]
        return [text.strip() for text in texts if text.strip()]

    def texts(self, name: str) -> list[str]:
        """Return what is told under a name of an input, as text: by record, metadata, report or product around it."""
        value = self.record.get(name, self.record.get(name.lower()))
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return [repr(value)]
        if isinstance(value, (str, bool)) and value != "":
            return [str(value).lower() if isinstance(value, bool) else value]
        paths = self.inputs.get(name, (name,) if name.isupper() else ())
        for path in paths:
            if found := self.stated(path, self.root):
                return found
        if name in self._reported:
            return [self._reported[name]]
        for path in paths:
            for root in self._around:
                if found := self.stated(path, root):
                    return found
        # where the processing told it of some bands the others have none: no image is decoded for them
        known = any(told.startswith("negative.") for told in (*self.record, *self._reported))
        if known or not name.startswith("negative."):
            return []
        return [self.measured[name]] if name in self.measured else []

    @cached_property
    def statistics(self) -> tuple[Statistics, ...]:
        """Statistics of samples of the images, of each band at its finest resolution."""
        finest: dict[str, int] = {}
        for image in self.images:
            finest[image.band] = min(image.resolution, finest.get(image.band, image.resolution))
        chosen = [image for image in self.images if image.resolution == finest[image.band]]
        return tuple(statistics(image, self._offset(image.band)) for image in chosen)

    @cached_property
    def measured(self) -> dict[str, str]:
        """Share of negative reflectances by band, on the sample [%]."""
        return {f"negative.{s.image.band}": f"{s.negative_percentage:.6f}" for s in self.statistics}

    def _offset(self, band_name: str) -> int:
        """Return what is added to the counts of a band before they are reflectance."""
        tag, index = ("BOA_ADD_OFFSET" if self.level == "L2A" else "RADIO_ADD_OFFSET"), str(BANDS[band_name].index)
        for root in (self.root, *self._around):
            for element in self.elements(tag, root) if root is not None else ():
                if element.get("band_id") == index:
                    return int(element.text or 0)
        return int(self.record.get("boa_add_offset" if self.level == "L2A" else "radio_add_offset", 0))

    def size(self, resolution: int) -> tuple[int, int] | None:
        """Return the rows and columns that the metadata state for a resolution, None where they do not."""
        for element in self.elements("Size"):
            if element.get("resolution") == str(resolution):
                texts = [element.findtext(f"{{*}}{name}") or "" for name in ("NROWS", "NCOLS")]
                return (int(texts[0]), int(texts[1])) if all(t.isdigit() for t in texts) else None
        return None

    @cached_property
    def images(self) -> tuple[Image | ZarrImage, ...]:
        """Images of bands that are there; none when pixels are not to be looked at."""
        if not self.look or self.kind == "PRODUCT":  # those of a product are its tiles' or granules'
            return ()
        if self.url:
            return zarr_images(self.url)
        return () if self.archive is None else raster_images(self.archive, self.prefix)

    def lost_percentage(self) -> float | None:
        """Return the pixels that the quality masks call lost [%], from the record if it knows; None without masks."""
        if self.kind == "TILE" and "lost_percentage" in self.record:
            return float(self.record["lost_percentage"])
        if not self.look or self.archive is None:
            return None
        return lost_share(self.archive, self.prefix)


def _identifier(root: etree._Element, file: str, folder: str) -> str:
    """Return the identifier of a PDI: what its metadata state, else its folder's or file's name."""
    for tag in ("TILE_ID", "GRANULE_ID", "PRODUCT_URI"):
        text = (root.findtext(f".//{{*}}{tag}") or "").strip()
        if text:
            return text.removesuffix(".SAFE")
    if stated := root.get("datastripIdentifier"):
        return stated
    if re.match(r"S2._\w{4}_MSI_", folder):
        return folder
    baseline = (root.findtext(".//{*}PROCESSING_BASELINE") or "").strip()
    stem = PurePosixPath(file).stem.replace("_MTD_", "_MSI_")
    return f"{stem}_N{baseline}" if baseline and stem.startswith("S2") else (folder or stem)


def _class(root: etree._Element) -> tuple[str, str] | None:
    found = _ROOT.fullmatch(etree.QName(root).localname)
    level = _LEVELS.get(found[1]) if found else None
    return (_KINDS[found[2]], level) if found and level else None


def _candidates(archive: SafeArchive) -> Iterator[tuple[str, str]]:
    """Yield (folder with a slash, metadata file) of everything in a folder that may be an item."""
    for name in archive.names:
        path = PurePosixPath(name)
        depth = len(path.parts)
        deep = depth == 3 and path.parts[0] in ("DATASTRIP", "GRANULE")
        if (depth == 1 or deep) and _METADATA.fullmatch(path.name):
            yield ("" if depth == 1 else f"{path.parent.as_posix()}/"), path.name


def _named(items: list[Item]) -> list[Item]:
    """Return the items, a datastrip of a product by the identifier that its tile or the product states."""
    names = ("DATASTRIP_ID", "Product_Organisation/Granule_List/Granule@datastripIdentifier")
    stated = next((text for item in items for path in names for text in item.stated(path)), None)
    if stated is None:
        return items
    return [replace(i, name=stated) if i.kind == "DATASTRIP" and not i.name.startswith("S2") else i for i in items]


def _broken_item(
    archive: SafeArchive, prefix: str, name: str, inputs: Mapping[str, tuple[str, ...]], others: list[Item], *,
    look: bool,
) -> Item:  # fmt: skip
    """Return the item of metadata that are no XML: where it lies tells its kind, and those beside it its level."""
    level = others[0].level
    inner = "TILE" if level in ("L1C", "L2A") else "GRANULE"
    kinds = {"GRANULE": inner, "DATASTRIP": "DATASTRIP"}
    kind = kinds.get(prefix.partition("/")[0], "DATASTRIP" if "DS" in name else "PRODUCT")
    folder = prefix.rstrip("/").rpartition("/")[2] or archive.name
    return Item(kind, level, folder, name, inputs, archive, prefix, look=look)


def _safe_items(archive: SafeArchive, inputs: Mapping[str, tuple[str, ...]], look: bool) -> list[Item]:
    found: list[Item] = []
    files: dict[str, str] = {}
    parsed: dict[str, etree._Element] = {}
    broken: list[tuple[str, str]] = []
    for prefix, name in _candidates(archive):
        try:
            root = archive.xml(prefix + name)
        except InputError:
            if len(archive.names) == 1:
                raise
            if name.startswith("MTD_"):  # of the compact form: it must be metadata
                broken.append((prefix, name))
            continue
        told = _class(root)
        if told is None:
            continue
        folder = prefix.rstrip("/").rpartition("/")[2] or archive.name
        parsed[prefix + name] = root
        kind, level = told
        files[kind] = files.get(kind, prefix + name)
        found.append(
            Item(kind, level, _identifier(root, name, folder), name, inputs, archive, prefix, look=look, parsed=parsed)
        )
    found += [_broken_item(archive, *at, inputs, found, look=look) for at in broken if found]
    order = {"PRODUCT": 0, "DATASTRIP": 1, "TILE": 2, "GRANULE": 2}
    around = {k: tuple(files[o] for o in ("DATASTRIP", "PRODUCT") if o != k and o in files) for k in order}
    part = {k: k != "PRODUCT" and "PRODUCT" in files for k in order}
    ordered = sorted(found, key=lambda i: order[i.kind])
    return _named([replace(i, context=around[i.kind], is_part=bool(i.prefix) or part[i.kind]) for i in ordered])


def _zarr_item(url: str, inputs: Mapping[str, tuple[str, ...]], look: bool) -> Item:
    import zarr

    from s2dask.io.storage import zarr_store

    try:
        group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise InputError(f"not a Zarr product ({error})", url, "give a .zarr, a SAFE or a PDI folder") from error
    facts = tile_facts(group.attrs.asdict())
    level = str(facts.get("level", ""))
    if level not in _LEVELS.values():
        raise InputError("the Zarr is no product of s2dask", url, "give one, or a SAFE or PDI folder")
    kind = "TILE" if "tile_id" in facts else "DATASTRIP"
    name = str(facts.get("tile") or facts.get("name") or PurePosixPath(url.rstrip("/")).name.removesuffix(".zarr"))
    flat = {k: v for k, v in facts.items() if not isinstance(v, (dict, list))}
    return Item(kind, level, name, "", inputs, record=flat | dict(facts.get("record") or {}), url=url, look=look)


def open_items(source: str, inputs: Mapping[str, tuple[str, ...]], look: bool = True) -> list[Item]:
    """Return what there is to check: the product first, then its datastrips, then its granules or tiles.

    Parameters
    ----------
    source : str
        Folder or zip of a SAFE, folder of a PDI, a metadata file alone, or a Zarr product of s2dask.
    inputs : mapping of str to tuple of str
        Where metadata tell the inputs of checks (`s2dask.qc.checklists`).
    look : bool
        Whether pixels may be read.
    """
    path = Path(source.removeprefix("file://"))
    if source.rstrip("/").endswith(".zarr") or not is_local(source) or (path / "zarr.json").is_file():
        if not exists(source):
            raise InputError("no such product", source, "check the path")
        return [_zarr_item(source, inputs, look)]
    if path.is_file() and path.suffix.lower() == ".xml":
        path = path.absolute()
        archive = SafeArchive(path.parent, "", (path.name,))
    else:
        archive = SafeArchive.open(path)
    items = _safe_items(archive, inputs, look)
    if not items:
        raise InputError("no metadata of a datastrip, granule, tile or product", source, "give a PDI or SAFE folder")
    return items
