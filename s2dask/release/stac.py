"""STAC item of a tile: what a catalogue, and the root of our Zarr, say about a product."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rasterio.crs import CRS

from s2dask import __version__
from s2dask.instrument import BANDS, unit
from s2dask.io.grids import TileGrid
from s2dask.release.eopf_form import ZarrForm
from s2dask.release.name_form import parse_iso
from s2dask.release.safe_product_xml import footprint
from s2dask.release.tile_store import TileNames, TileStore, iso

_EXTENSIONS: Final = (
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/product/v1.0.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/sat/v1.1.0/schema.json",
    "https://stac-extensions.github.io/view/v1.0.0/schema.json",
)
_ZARR_EXTENSION: Final = "https://stac-extensions.github.io/zarr/v1.1.0/schema.json"
_COMMON: Final = {
    "B01": "coastal", "B02": "blue", "B03": "green", "B04": "red", "B05": "rededge", "B06": "rededge",
    "B07": "rededge", "B08": "nir", "B8A": "nir08", "B09": "nir09", "B10": "cirrus", "B11": "swir16",
    "B12": "swir22",
}
_MEDIA: Final = {
    ".zarr": ("application/vnd+zarr; version=3", ["data"]), ".SAFE": ("application/x-directory", ["data"]),
    ".png": ("image/png", ["overview"]), ".json": ("application/json", ["metadata"]),
}


def _bands(attrs: Mapping[str, Any]) -> list[dict[str, Any]]:
    flight = unit(str(attrs["unit"]))
    return [
        {
            "name": name.lower(),
            "common_name": _COMMON[name],
            "center_wavelength": round(flight.bands[name].centre / 1000, 6),
            "full_width_half_max": round(flight.bands[name].fwhm / 1000, 6),
            "solar_illumination": float(attrs["solar_irradiance"][name]),
        }
        for name in BANDS
        if name in attrs["bands"] and name in attrs["solar_irradiance"]
    ]


def _times(attrs: Mapping[str, Any]) -> dict[str, Any]:
    start, stop = parse_iso(attrs["sensing_start"]), parse_iso(attrs["sensing_stop"])
    middle: datetime = start + (stop - start) / 2
    created = iso(parse_iso(attrs["generation_time"]))
    return {
        "datetime": iso(middle), "start_datetime": iso(start), "end_datetime": iso(stop), "created": created,
        "processing:datetime": created,
    }


def _projection(grid: TileGrid) -> dict[str, Any]:
    return {
        "proj:code": grid.crs,
        "proj:bbox": [float(v) for v in grid.bounds],
        "proj:shape": list(grid.shape(10)),
        "proj:transform": list(grid.transform(10)),
        "proj:wkt2": CRS.from_epsg(grid.epsg).to_wkt(version="WKT2_2019"),
    }


def _properties(attrs: Mapping[str, Any], grid: TileGrid) -> dict[str, Any]:
    level = str(attrs["level"])
    return {
        **_times(attrs),
        "platform": f"sentinel-{str(attrs['unit'])[1:].lower()}",
        "constellation": "sentinel-2",
        "mission": "sentinel-2",
        "instruments": ["msi"],
        "gsd": 10,
        "providers": [{"name": "s2dask", "roles": ["processor"]}, {"name": "ESA", "roles": ["producer", "licensor"]}],
        "processing:level": level,
        "processing:version": str(attrs["baseline"]),
        "processing:software": {"s2dask": __version__},
        "product:type": f"S02MSI{level}",
        "product:timeliness": "PT24H",
        "product:timeliness_category": "24H",
        "sat:absolute_orbit": int(attrs["absolute_orbit"]),
        "sat:relative_orbit": int(attrs["relative_orbit"]),
        "sat:orbit_state": str(attrs["orbit_direction"]).lower(),
        "eo:cloud_cover": float(attrs["cloud_percentage"]),
        "view:sun_azimuth": float(attrs["solar_azimuth"]),
        "view:sun_elevation": 90.0 - float(attrs["solar_zenith"]),
        **_projection(grid),
    }


def _asset(href: str, attrs: Mapping[str, Any], form: ZarrForm) -> dict[str, Any]:
    media, roles = _MEDIA[Path(href).suffix]
    out: dict[str, Any] = {"href": href, "type": media, "roles": roles, "title": Path(href).name}
    if roles == ["data"]:
        out["eo:bands"] = _bands(attrs)
    if href.endswith(".zarr"):
        out |= {"zarr:consolidated": True, "zarr:node_type": "group", "zarr:zarr_format": 3}
        out["type"] += "; profile=multiscales" if form == "geozarr" else ""
    return out


def stac_item(
    store: TileStore, hrefs: Mapping[str, str] | None = None, form: ZarrForm = "eopf"
) -> dict[str, Any]:
    """Return the STAC 1.1 item of a tile.

    Parameters
    ----------
    store : TileStore
    hrefs : mapping of str to str, optional
        Asset key by relative reference: ``{"safe": "./S2A….SAFE"}``.
    form : {"eopf", "geozarr"}
        Of the Zarr among them: the media type of geozarr says that it has overviews.

    Returns
    -------
    dict
        JSON-able; sat, eo, proj, view, product and processing extensions. Every prefix that occurs is declared.
    """
    grid = store.grid
    ring = [[round(x, 7), round(y, 7)] for x, y in footprint(grid)]
    longitudes, latitudes = zip(*ring, strict=True)
    assets = {key: _asset(href, store.attrs, form) for key, href in (hrefs or {}).items()}
    more = [_ZARR_EXTENSION] if "zarr" in assets else []
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [*_EXTENSIONS, *more],
        "id": str(TileNames.of(store.attrs).product),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [min(longitudes), min(latitudes), max(longitudes), max(latitudes)],
        "properties": _properties(store.attrs, grid),
        "links": [],
        "assets": assets,
    }


def root_attributes(store: TileStore) -> dict[str, Any]:
    """Return the root attributes of a delivered Zarr: the two that EOPF allows.

    Facts of ours stand in ``other_metadata`` with the little that EOPF readers ask for.
    """
    item = stac_item(store)
    other = {"eopf_category": "eoproduct", "horizontal_CRS_code": store.grid.crs, "s2dask": store.attrs}
    return {"stac_discovery": item, "other_metadata": other}


def write_stac(item: Mapping[str, Any], path: str | Path) -> Path:
    """Write an item as a JSON file."""
    target = Path(path)
    target.write_text(json.dumps(item, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    return target
