"""What a product has to tell to the store of indicators: ours by its attributes, any other one by its checks."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import zarr
from lxml import etree

from s2dask.errors import InputError, InputMissing, S2Error
from s2dask.instrument import BANDS, unit
from s2dask.io.eopf_reader import tile_facts
from s2dask.io.storage import exists, zarr_store
from s2dask.qc.engine import ItemReport, check_product
from s2dask.qc.indicators import Indicator, Product, indicators_of, outcome, product_of, stamp
from s2dask.qc.items import Item
from s2dask.qc.store import append

_SENSED = ("SENSING_TIME", "DATASTRIP_SENSING_START", "PRODUCT_START_TIME")
_MADE = ("GENERATION_TIME", "UTC_DATE_TIME", "ARCHIVING_TIME")
_TILE = re.compile(r"_T(\d\d[A-Z]{3})(?:_|$)")
_BY_BAND = {"PHYSICAL_GAINS": "physical_gain", "SOLAR_IRRADIANCE": "solar_irradiance"}

Told = tuple[Product, tuple[Indicator, ...], str]


def collect(product: str, check: bool = False, pixels: bool = True) -> list[Told]:
    """Return (product, indicators, origin) of everything that a product tells.

    Parameters
    ----------
    product : str
        Zarr of s2dask at any level: its attributes are taken as they are. SAFE or PDI: it is checked.
    check : bool
        Check a Zarr of s2dask too.
    pixels : bool
        Whether checks may read pixels.
    """
    if not exists(product):
        raise InputMissing("no such product", product, "check the path")
    stored = product.rstrip("/").endswith(".zarr")
    return told_by(product, check_product(product, look=pixels) if check or not stored else ())


def told_by(product: str, reports: Iterable[ItemReport]) -> list[Told]:
    """Return (product, indicators, origin) of a product that was checked already."""
    stored = product.rstrip("/").endswith(".zarr")
    return ([_stored(product)] if stored else []) + [_inspected(report) for report in reports]


def remember(store: str, product: str, name: str = "", checks: Sequence[Mapping[str, Any]] | None = None) -> str:
    """Append what a product that was just made tells to a store of indicators.

    Parameters
    ----------
    store : str
        Folder or URL of the indicators.
    product : str
        Its Zarr, at any level; its attributes are read, no pixel is.
    name : str
        That it is delivered under, where its attributes do not tell it yet.
    checks : sequence of mapping, optional
        In place of those of its attributes: the ones that decided about it.

    Returns
    -------
    str
        Why it could not be appended; empty: it was. What is told of a product never keeps it from delivery.
    """
    told = {key: value for key, value in (("name", name), ("checks", checks)) if value}
    try:
        what, indicators, origin = _stored(product, told)
        append(store, what, indicators, origin)
    except (S2Error, OSError) as error:
        return f"{product}: its quality is not remembered: {error}"
    return ""


def _stored(url: str, better: Mapping[str, Any] | None = None) -> Told:
    """Return what the attributes of a Zarr tell; ``better`` attributes are known to the caller."""
    try:
        group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    except (ValueError, KeyError, FileNotFoundError) as error:
        raise InputError(f"not a Zarr product ({error})", url, "give a product of s2dask, a SAFE or a PDI") from error
    facts = {**tile_facts(group.attrs.asdict()), **(better or {})}
    what = product_of(facts, url)
    try:
        return what, indicators_of(facts), "record"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"attributes without sense ({type(error).__name__}: {error})"
        raise InputError(reason, url, "make the product again") from error


def _inspected(report: ItemReport) -> Told:
    item = report.item
    what = product_of(item.record, item.name) if item.url else _product(item)
    checks = tuple(outcome(result.as_dict()) for result in report.results)
    return what, (*_by_band(item), *checks), "check"


def _first(item: Item, *names: str) -> str:
    return next((texts[0] for name in names if (texts := item.texts(name))), "")


def _product(item: Item) -> Product:
    tile = _TILE.search(item.name)
    datatake = [e.get("datatakeIdentifier") or "" for e in item.elements("Datatake")]
    return Product(
        name=item.name,
        level=item.level,
        unit=unit(item.name[:3]).name,
        sensing_time=stamp(_first(item, *_SENSED), f"{item.name}: {' or '.join(_SENSED)}"),
        kind=item.kind,
        tile=tile[1] if tile else "",
        baseline=_first(item, "PROCESSING_BASELINE"),
        datatake=datatake[0] if datatake else "",
        generation_time=_first(item, *_MADE),
    )


def _by_band(item: Item) -> Iterator[Indicator]:
    """Yield gains and irradiance of the bands that metadata state."""
    names = list(BANDS)
    for tag, name in _BY_BAND.items():
        for element in item.elements(tag):
            index = element.get("bandId") or _of_parent(element)
            if index.isdigit() and int(index) < len(names):
                yield Indicator(name, float(element.text or "nan"), names[int(index)])


def _of_parent(element: etree._Element) -> str:
    parent = element.getparent()
    return "" if parent is None else parent.get("bandId") or ""
