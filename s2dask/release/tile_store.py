"""An L1C or L2A store as the release sees it: attributes, names, arrays."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import zarr
from lxml import etree

from s2dask.errors import InputError
from s2dask.io.chunk_files import ChunkFiles, ZarrWindows, open_for_reading
from s2dask.io.datastrip_document import DATASTRIP, parse_document
from s2dask.io.eopf_reader import tile_facts
from s2dask.io.grids import TileGrid
from s2dask.io.storage import zarr_store
from s2dask.release.name_form import parse_compact_time, parse_iso
from s2dask.release.names import DatastripName, ImageName, ProductName, TileName

Element = etree._Element
SITE: Final = "S2DK"
"""Processing and archiving centre in identifiers: this system, which is none of ESA's."""
MASKS: Final = ("quality/mask/", "conditions/mask/detector_footprint/", "conditions/mask/l1c_classification/")
"""Groups of the masks that an L1C has and an L2A takes over."""


@dataclass(frozen=True)
class TileStore:
    """A tile product on disk.

    Attributes
    ----------
    url : str
    attrs : dict
        Root attribute ``s2dask``.
    arrays : mapping of str to zarr.Array
        Every variable by path.
    """

    url: str
    attrs: dict[str, Any]
    arrays: dict[str, "zarr.Array[Any]"] = field(repr=False)

    @classmethod
    def open(cls, url: str, level: str | None = None) -> "TileStore":
        """Open a store of a level (None: L1C or L2A), or refuse it by name."""
        try:
            # not the consolidated metadata, which do not know attributes set since (those of spatial_ref)
            group = zarr.open_group(zarr_store(url, read_only=True), mode="r", use_consolidated=False)
        except (FileNotFoundError, ValueError) as error:
            raise InputError(f"not a readable Zarr group ({type(error).__name__})", url, "check the path") from error
        root: dict[str, Any] = dict(group.attrs.asdict())
        attrs: dict[str, Any] = tile_facts(root)
        wanted = (level,) if level else ("L1C", "L2A")
        if attrs.get("level") not in wanted:
            found, name = attrs.get("level"), " or ".join(wanted)
            raise InputError(f"the store is of level {found}, not {name}", url, f"give an {name} tile")
        arrays = {path: node for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}
        return cls(url, attrs, arrays)

    @property
    def level(self) -> str:
        """``L1C`` or ``L2A``."""
        return str(self.attrs["level"])

    @property
    def grid(self) -> TileGrid:
        """Grid of the tile."""
        a = self.attrs
        return TileGrid(
            a["tile_id"],
            a["crs"],
            int(a["x0"]),
            int(a["y0"]),
            int(a["width"]),
            int(a["height"]),
            int(a.get("decimation", 1)),
        )

    def has(self, path: str) -> bool:
        """Tell whether a variable is there."""
        return path in self.arrays

    def read(self, path: str) -> np.ndarray:
        """Return a whole variable, or raise naming it."""
        if path not in self.arrays:
            raise InputError(f"variable {path} is missing", self.url, "make the tile again")
        shape = self.arrays[path].shape
        return self.windows(path).read((0,) * len(shape), shape) if shape else np.asarray(self.arrays[path][...])

    def windows(self, path: str) -> ChunkFiles | ZarrWindows:
        """Return a variable, to read windows of it."""
        array = self.arrays[path]
        return open_for_reading(str(array.store), array.path)

    @property
    def datastrip(self) -> Element | None:
        """Metadata of the datastrip that the tile comes from, where the store holds them."""
        return parse_document(self.read(DATASTRIP).tobytes(), self.url) if self.has(DATASTRIP) else None

    def with_masks(self, l1c: "TileStore") -> "TileStore":
        """Return this L2A tile with the masks of its L1C beside its own variables, as EOPF L2A products have them."""
        masks = {path: array for path, array in l1c.arrays.items() if path.startswith(MASKS)}
        facts = {"l1c_tile": str(l1c.names.tile)}
        return replace(self, attrs=self.attrs | facts, arrays=masks | self.arrays)

    @property
    def names(self) -> "TileNames":
        """Names of everything that is made of this tile."""
        return TileNames.of(self.attrs)


@dataclass(frozen=True, slots=True)
class TileNames:
    """Names derived from the attributes of a tile.

    Attributes
    ----------
    product : ProductName
    tile : TileName
    datastrip : DatastripName
    sensing_start : datetime
        Of the tile.
    """

    product: ProductName
    tile: TileName
    datastrip: DatastripName
    sensing_start: datetime

    @classmethod
    def of(cls, attrs: dict[str, Any]) -> "TileNames":
        """Return the names of the tile with these attributes (root attribute ``s2dask``)."""
        unit, level, baseline, tile = (str(attrs[key]) for key in ("unit", "level", "baseline", "tile_id"))
        created, sensing = parse_iso(attrs["generation_time"]), parse_iso(attrs["sensing_start"])
        strip_start = parse_iso(attrs.get("datastrip_start") or attrs["sensing_start"])
        if attrs.get("name"):
            product = ProductName.parse(str(attrs["name"]))
            if level == "L2A":  # named after its L1C: several can be made of that
                product = replace(product, discriminator=created.replace(microsecond=0))
        else:
            start = parse_compact_time(str(attrs["datatake_id"])[5:20])
            product = ProductName(
                unit, level, start, baseline, int(attrs["relative_orbit"]), tile, created.replace(microsecond=0)
            )
        return cls(
            product,
            TileName(unit, level, SITE, created, int(attrs["absolute_orbit"]), tile, baseline),
            DatastripName(unit, level, SITE, created, strip_start, baseline),
            sensing,
        )

    @property
    def granule_folder(self) -> str:
        """Path of the granule inside the SAFE: ``GRANULE/L1C_T28SCB_A026904_20200816T120222``."""
        return f"GRANULE/{self.tile.folder(self.sensing_start)}"

    @property
    def datastrip_folder(self) -> str:
        """Path of the datastrip inside the SAFE."""
        return f"DATASTRIP/{self.datastrip.folder}"

    def image(self, content: str, resolution: int | None = None) -> ImageName:
        """Return the name of an image file."""
        return ImageName(self.product.tile, self.product.datatake_start, content, resolution)


def iso(moment: datetime, microseconds: bool = False) -> str:
    """Return ``2020-08-16T12:02:21.024Z``, rounded to the millisecond, as the metadata write dates."""
    if microseconds:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rounded = moment + timedelta(microseconds=500)
    return f"{rounded:%Y-%m-%dT%H:%M:%S}.{rounded.microsecond // 1000:03d}Z"
