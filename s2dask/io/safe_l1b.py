"""A real L1B product in SAFE form as our own L1B: lazily, or imported into a store."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Final
from zlib import crc32

import dask.array as da
import numpy as np
import xarray as xr
from lxml import etree
from numpy.typing import NDArray

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import DETECTOR_SHIFT, FLAGS, MSI_LOST, NODATA
from s2dask.instrument.timing import SCENE_LINES_10M
from s2dask.io import schema_strip
from s2dask.io.datastrip_document import archived_document, write_document
from s2dask.io.safe import LazyImage
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_l0 import conditions, strip_attributes
from s2dask.io.safe_l0_metadata import datastrip_facts, plain
from s2dask.io.safe_l1b_metadata import radiometry
from s2dask.io.safe_masks import merge_layers, read_window
from s2dask.io.template import create
from s2dask.io.variables import Schema
from s2dask.io.writer import write_block, write_whole

OFFSET: Final = -100
"""RADIO_ADD_OFFSET of our L1B stores [LSB]."""
_END_OF_CODESTREAM: Final = b"\xff\xd9"
_AGAIN: Final = "fetch the product again"


def is_l1b_safe(path: str | Path) -> bool:
    """Whether a folder or zip is an L1B product."""
    return bool(SafeArchive.open(path).matching(["*_MTD_L1B_DS_*.xml"]))


@lru_cache(maxsize=4)
def _opened(path: str, _modified: int) -> "SafeStrip":
    return SafeStrip(path)


def open_strip(path: str | Path) -> "SafeStrip":
    """Return the reader of an L1B SAFE, opened once per process."""
    where = Path(str(path).removeprefix("file://")).absolute()
    if not where.exists():
        raise InputMissing("no such product", str(where), "check the path")
    return _opened(str(where), where.stat().st_mtime_ns)


class SafeStrip:
    """An L1B SAFE (folder or zip) behind the reader interface of strips; cheap to pickle, opened where it lands.

    Attributes
    ----------
    path : str
    attrs : dict
        The keys of the root attribute ``s2dask`` of an L1B store, as far as the product states them;
        ``missing_granules`` are those that the datastrip lists and the product does not hold.
    variables : dict of str to array
        Orbit, attitude and dates, as in an L1B store.
    detectors : tuple of int
        Those of which there is at least one granule.
    bands : tuple of str
    scenes : int
        Of the datastrip, whether all its granules are there or not.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._archive = archive = SafeArchive.open(path)
        name = archive.one("*_MTD_L1B_DS_*.xml")
        root = archive.xml(name)
        facts = datastrip_facts(root)
        self._folders = _granules(archive, str(root.get("datastripIdentifier", "")))
        known = {(d, (p - 1) // SCENE_LINES_10M): text for d, found in facts.granules.items() for text, p in found}
        self.detectors: tuple[int, ...] = tuple(sorted({d for d, _ in self._folders}))
        self.scenes: int = 1 + max(scene for _, scene in known.keys() | self._folders.keys())
        self.variables = _chosen(conditions(facts), self.detectors, archive.describe(name))
        indices = self.variables["conditions/datation/band"]
        self.bands: tuple[str, ...] = tuple(n for n in BANDS if BANDS[n].index in indices)
        told = radiometry(root, facts)
        self.offset: int = told["radio_add_offset"]
        codec = "mrcpb" if facts.configuration["compress"] == "true" else "raw12"
        made = strip_attributes(
            facts, list(self.detectors), list(self.bands), self.scenes, codec, self.variables, "", "L1B"
        )
        missing = [text for key, text in known.items() if key[0] in self.detectors and key not in self._folders]
        self.attrs: dict[str, Any] = made | {
            "radiometry": told | {"radio_add_offset": OFFSET}, "datatake_type": facts.datatake["type"],
            "datatake_start": facts.datatake["start"], "missing_granules": sorted(missing),
        }  # fmt: skip
        self._files = {key: self._images(*key) for key in self._folders}

    def __reduce__(self) -> tuple[Callable[[str], "SafeStrip"], tuple[str]]:
        return open_strip, (self.path,)

    def _images(self, detector: int, scene: int) -> dict[str, tuple[str, str]]:
        """Return image and quality mask of each band of a granule; all must be there."""
        folder, out = self._folders[detector, scene], {}
        names = [name for name in self._archive.names if name.startswith(f"{folder}/")]
        for b in self.bands:
            image = [n for n in names if n.startswith(f"{folder}/IMG_DATA/") and n.endswith(f"_{b}.jp2")]
            mask = [n for n in names if "MSK_QUALIT" in n and f"_{b}_" in PurePosixPath(n).name and n.endswith(".jp2")]
            for kind, found in (("image", image), ("quality mask (MSK_QUALIT)", mask)):
                if len(found) != 1:
                    where = self._archive.describe(folder)
                    raise InputMissing(f"{len(found)} files for the {kind} of {b}", where, _AGAIN)
            out[b] = image[0], mask[0]
        return out

    def lines(self, name: str) -> int:
        """Return the number of lines of the images of a band."""
        return band(name).lines_per_scene * self.scenes

    def _rows(
        self, name: str, line0: int, line1: int, get: Callable[[int, slice], NDArray[np.uint16]]
    ) -> NDArray[np.uint16]:
        """Return lines [line0, line1) put together from the scenes that they lie in."""
        per, parts = band(name).lines_per_scene, []
        for scene in range(line0 // per, -(-line1 // per)):
            rows = slice(max(line0 - scene * per, 0), min(line1 - scene * per, per))
            parts.append(get(scene, rows))
        return np.concatenate(parts) if parts else np.zeros((0, band(name).columns), np.uint16)

    def _window(self, file: str, name: str, rows: slice) -> NDArray[Any]:
        b = band(name)
        _check_end(self._archive, file)
        return read_window(self._archive, file, (b.lines_per_scene, b.columns), rows, slice(0, b.columns))

    def counts(self, detector: int, name: str, line0: int, line1: int) -> NDArray[np.uint16]:
        """Return counts with our offset, (line, column) uint16 [DN]; 0 where there is no data."""
        columns = band(name).columns

        def get(scene: int, rows: slice) -> NDArray[np.uint16]:
            if (detector, scene) not in self._files:
                return np.zeros((rows.stop - rows.start, columns), np.uint16)
            window = self._window(self._files[detector, scene][name][0], name, rows)
            image: NDArray[np.uint16] = window[0].astype(np.uint16)
            if self.offset == OFFSET:
                return image
            shifted = np.clip(image.astype(np.int32) + self.offset - OFFSET, 1, 65534)
            return np.where(image == 0, 0, shifted).astype(np.uint16)

        return self._rows(name, line0, line1, get)

    def quality(self, detector: int, name: str, line0: int, line1: int) -> NDArray[np.uint16]:
        """Return MSK_QUALIT and detector, (line, column) uint16; a granule that is not there is lost and no data."""
        columns, number = band(name).columns, np.uint16(detector << DETECTOR_SHIFT)

        def get(scene: int, rows: slice) -> NDArray[np.uint16]:
            if (detector, scene) not in self._files:
                return np.full((rows.stop - rows.start, columns), number | MSI_LOST | NODATA, np.uint16)
            layers = self._window(self._files[detector, scene][name][1], name, rows)
            return np.asarray(merge_layers(layers, [bit for _, bit in FLAGS]).astype(np.uint16) | number)

        return self._rows(name, line0, line1, get)

    def read(self, detector: int, name: str, line0: int, line1: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Return (counts, quality) of lines [line0, line1), both (line, column) uint16."""
        return self.counts(detector, name, line0, line1), self.quality(detector, name, line0, line1)

    def schema(self) -> Schema:
        """Return the schema of the store that it is imported into."""
        points, samples = (self.variables[f"conditions/{k}/gps_time"].size for k in ("ephemeris", "attitude"))
        return schema_strip.l1b(self.detectors, self.bands, self.scenes, points, samples)


def _granules(archive: SafeArchive, datastrip: str) -> dict[tuple[int, int], str]:
    """Return the folder of each granule of a product, by detector and scene."""
    out: dict[tuple[int, int], str] = {}
    for name in archive.matching(["*_MTD_L1B_GR_*.xml"]):
        root, where = archive.xml(name), archive.describe(name)
        plain(root)
        parent = root.findtext("General_Info/DATASTRIP_ID", "").strip()
        if datastrip and parent != datastrip:
            raise InputError(f"a granule of {parent[:80]}, not of {datastrip}", where, "give one datastrip")
        detector = _whole(root, "General_Info/DETECTOR_ID", where, 12)
        position = _whole(root, "Geometric_Info/Granule_Position/POSITION", where, 10**8) - 1
        if position % SCENE_LINES_10M:
            raise InputError(f"POSITION {position + 1} is no first line of a scene", where, _AGAIN)
        _check_sizes(root, where)
        if (detector, position // SCENE_LINES_10M) in out:
            raise InputError(f"a second granule of D{detector:02d} at POSITION {position + 1}", where, "give it once")
        out[detector, position // SCENE_LINES_10M] = str(PurePosixPath(name).parent)
    if not out:
        raise InputMissing("no granules (*_MTD_L1B_GR_*.xml)", archive.describe(""), "give the folder of the product")
    return out


def _whole(root: etree._Element, path: str, where: str, highest: int) -> int:
    text = root.findtext(path, "").strip()
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise InputError(f"{path}: {text[:20]!r} is no number from 1 to {highest}", where, _AGAIN)
    return int(text)


def _check_sizes(root: etree._Element, where: str) -> None:
    expected = {b.resolution: (b.lines_per_scene, b.columns) for b in BANDS.values()}
    for size in root.iterfind("Geometric_Info/Granule_Dimensions/Size"):
        found = tuple(_whole(size, tag, where, 10**6) for tag in ("NROWS", "NCOLS"))
        resolution = size.get("resolution", "")
        if resolution.isdecimal() and expected.get(int(resolution)) != found:
            raise InputError(f"{found} pixels of {resolution} m, a granule has {expected.get(int(resolution))}", where)


def _check_end(archive: SafeArchive, name: str) -> None:
    """Refuse an image that does not end as a codestream does; decoders fill what is cut with zeros."""
    if archive.root:
        return  # a zip has its own checksum
    path = archive.path / name
    with path.open("rb") as source:
        source.seek(0, 2)
        source.seek(max(source.tell() - 2, 0))
        if source.read() != _END_OF_CODESTREAM:
            raise InputError("the image is cut: its codestream has no end", str(path), _AGAIN)


def _chosen(made: Mapping[str, NDArray[Any]], detectors: tuple[int, ...], where: str) -> dict[str, NDArray[Any]]:
    """Return the variables of a datastrip with the dates of some detectors only."""
    there = made["conditions/datation/detector"].tolist()
    lacking = [d for d in detectors if d not in there]
    if lacking:
        raise InputError(f"no line dates of detectors {lacking}", where, _AGAIN)
    rows = [there.index(d) for d in detectors]
    dates = made["conditions/datation/first_line_date"][rows]
    return {
        **made, "conditions/datation/detector": np.array(detectors), "conditions/datation/first_line_date": dates,
    }  # fmt: skip


class _Reader:
    """A method of a strip bound to a detector and band; pickles with the strip's path."""

    def __init__(self, strip: SafeStrip, method: str, detector: int, name: str) -> None:
        self.strip, self.method, self.detector, self.name = strip, method, detector, name

    def __call__(self, rows: slice, columns: slice) -> NDArray[np.uint16]:
        first, stop, _ = rows.indices(self.strip.lines(self.name))
        lines = getattr(self.strip, self.method)(self.detector, self.name, first, stop)
        return np.asarray(lines[:, columns])


def open_l1b_safe(path: str | Path) -> xr.DataTree:
    """Open an L1B SAFE lazily, in the layout of our own L1B stores.

    Parameters
    ----------
    path : str or Path
        Folder with DATASTRIP and GRANULE, or a zip that holds one. Granules may be missing, images of a granule not.

    Returns
    -------
    xarray.DataTree
        ``measurements/d05/b04/img`` (line, column) uint16 [DN], ``quality/d05/b04/mask``, orbit, attitude and dates in
        ``conditions``, a chunk a granule. Nothing is read but the metadata.

    Notes
    -----
    ``radio_add_offset`` is that of our stores: counts of a product with another one are shifted. Bit 12 of our quality
    layer (saturated at L1B) is no layer of MSK_QUALIT, so it is never set.
    """
    strip = open_strip(path)
    groups: dict[str, dict[str, xr.DataArray]] = {}
    token = f"{PurePosixPath(strip.path).name}-{crc32(strip.path.encode()):08x}"
    for where, spec in strip.schema().items():
        group, leaf = where.rsplit("/", 1)
        values: Any
        if where in strip.variables:
            values = strip.variables[where]
        else:
            _, detector, name, _ = where.split("/")
            method, key = "counts" if leaf == "img" else "quality", (int(detector[1:]), name.upper())
            lazy = LazyImage(_Reader(strip, method, *key), (spec.shape[0], spec.shape[1]), spec.dtype)
            label = f"safe-l1b-{method}-{detector}-{name}-{token}"
            values = da.from_array(lazy, chunks=spec.chunks, name=label, meta=np.empty((0, 0), spec.dtype))
        groups.setdefault(group, {})[leaf] = xr.DataArray(values, dims=spec.dims, attrs=dict(spec.attrs))
    tree = {"/": xr.Dataset(attrs={"s2dask": strip.attrs})}
    return xr.DataTree.from_dict(tree | {group: xr.Dataset(found) for group, found in groups.items()})


def start_import(path: str | Path, url: str, aux: str = "") -> list[tuple[int, int]]:
    """Create the L1B store of a SAFE with everything but its images, and return detector and scene of each granule.

    Parameters
    ----------
    path : str or Path
    url : str
        Store to create; one that is there is replaced.
    aux : str
        Folder of auxiliary files that goes with it.
    """
    strip = open_strip(path)
    create(url, strip.schema(), {"s2dask": strip.attrs | {"aux": aux}})
    for where, values in strip.variables.items():
        write_whole(url, where, values)
    if told := archived_document(SafeArchive.open(path)):
        write_document(url, told)
    return [(d, scene) for scene in range(strip.scenes) for d in strip.detectors]


def import_granule(path: str | Path, url: str, detector: int, scene: int) -> None:
    """Read the images of one granule into a store made by `start_import`."""
    strip = open_strip(path)
    for name in strip.bands:
        first, last = (k * band(name).lines_per_scene for k in (scene, scene + 1))
        counts, quality = strip.read(detector, name, first, last)
        image, mask = schema_strip.image_path(detector, name), schema_strip.mask_path(detector, name)
        write_block(url, {image: counts, mask: quality}, {image: (first, 0), mask: (first, 0)})


def import_l1b(path: str | Path, url: str, aux: str = "") -> tuple[str, ...]:
    """Import an L1B SAFE into a store, granule after granule; returns the granules that it lacks.

    Parameters
    ----------
    path, url, aux
        As for `start_import`.
    """
    for detector, scene in start_import(path, url, aux):
        import_granule(path, url, detector, scene)
    return tuple(open_strip(path).attrs["missing_granules"])
