"""INSPIRE.xml: what a product is and covers, for catalogues (ISO 19139)."""

from typing import Final

from lxml import etree

from s2dask.release.safe_product_xml import footprint
from s2dask.release.tile_store import SITE, TileStore

_GMD: Final = "http://www.isotc211.org/2005/gmd"
_GCO: Final = "http://www.isotc211.org/2005/gco"
_CODES: Final = "http://standards.iso.org/ittf/PubliclyAvailableStandards/ISO_19139_Schemas/resources/codelist"
Element = etree._Element


def _add(parent: Element, path: str) -> Element:
    """Append nested elements of gmd, ``a/b``, and return the innermost."""
    for part in path.split("/"):
        parent = etree.SubElement(parent, f"{{{_GMD}}}{part}")
    return parent


def _text(parent: Element, path: str, value: object, kind: str = "CharacterString") -> None:
    etree.SubElement(_add(parent, path), f"{{{_GCO}}}{kind}").text = str(value)


def _code(parent: Element, path: str, name: str, value: str) -> None:
    element = _add(parent, f"{path}/{name}")
    element.set("codeList", f"{_CODES}/gmxCodelists.xml#{name}")
    element.set("codeListValue", value)
    element.text = value


def _contact(parent: Element, path: str, role: str) -> None:
    party = _add(parent, f"{path}/CI_ResponsibleParty")
    _text(party, "organisationName", SITE)
    _code(party, "role", "CI_RoleCode", role)


def _identification(root: Element, store: TileStore) -> None:
    name, created = store.names.product.safe, store.names.tile.created
    out = _add(root, "identificationInfo/MD_DataIdentification")
    citation = _add(out, "citation/CI_Citation")
    _text(citation, "title", name)
    date = _add(citation, "date/CI_Date")
    _text(date, "date", f"{created:%Y-%m-%d}", "Date")
    _code(date, "dateType", "CI_DateTypeCode", "creation")
    _text(citation, "identifier/RS_Identifier/code", name)
    _text(out, "abstract", f"Sentinel-2 MSI Level-{store.level[1:]} product of tile {store.attrs['tile_id']}")
    _contact(out, "pointOfContact", "pointOfContact")
    _text(out, "language", "eng")
    _text(out, "topicCategory", "imageryBaseMapsEarthCover")
    box = _add(out, "extent/EX_Extent/geographicElement/EX_GeographicBoundingBox")
    longitudes, latitudes = zip(*footprint(store.grid), strict=True)
    for side, value in (
        ("westBoundLongitude", min(longitudes)),
        ("eastBoundLongitude", max(longitudes)),
        ("southBoundLatitude", min(latitudes)),
        ("northBoundLatitude", max(latitudes)),
    ):
        _text(box, side, f"{value:.9f}", "Decimal")


def inspire(store: TileStore) -> Element:
    """Return INSPIRE.xml of an L1C or L2A tile, in the order of ISO 19139."""
    root = etree.Element(f"{{{_GMD}}}MD_Metadata", nsmap={"gmd": _GMD, "gco": _GCO})
    _text(root, "fileIdentifier", store.names.product.safe)
    _text(root, "language", "eng")
    _code(root, "hierarchyLevel", "MD_ScopeCode", "dataset")
    _contact(root, "contact", "pointOfContact")
    _text(root, "dateStamp", f"{store.names.tile.created:%Y-%m-%d}", "Date")
    _text(root, "metadataStandardName", "INSPIRE Metadata Implementing Rules")
    _text(root, "metadataStandardVersion", "1.2")
    _text(root, "referenceSystemInfo/MD_ReferenceSystem/referenceSystemIdentifier/RS_Identifier/code", store.grid.crs)
    _identification(root, store)
    return root
