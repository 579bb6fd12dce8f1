"""Indicators: the numbers of quality of one product, each with its band and detector, and what the product is."""

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from s2dask.errors import InputError
from s2dask.instrument import BANDS, unit
from s2dask.qc.records import finalise

_LEVELS = ("L0", "L1A", "L1B", "L1C", "L2A")
_BANDS = {name.lower(): name for name in BANDS}
_OF_BAND = re.compile(rf"(?:d(\d\d)\.|r(\d\d)m\.)?({'|'.join(_BANDS)})\.(\w+)")
_WORST = re.compile(rf"(\w+)\.({'|'.join(BANDS)})")
_COUNTS = ("nodata", "unseen", "lost", "degraded", "saturated", "defective", "partially_corrected")
_MEASURED = frozenset(
    {
        "noise", "noise_ratio", "signal_to_noise", "stripe_index", "odd_even_step", "bad_columns", "blind_pixel_offset",
        "blind_pixel_offset_deviation", "blind_pixel_residual", "crosstalk_index", "ghost_index", "ghost_error",
        "missing_lines", "degraded_lines", "uncertainty_mean", "band_shift", "band_shift_x", "band_shift_y",
        "band_shift_scatter", "cross_shift", "cross_shift_x", "cross_shift_y", "cross_shift_scatter", "detector_step",
        "detector_step_error", "footprint_holes", "negative_percentage", "darkest_reflectance",
    }
)  # fmt: skip
_BY_BAND = {"physical_gains": "physical_gain", "solar_irradiance": "solar_irradiance"}
_OF_PRODUCT = (
    "cloud_percentage",
    "snow_percentage",
    "nodata_percentage",
    "data_loss_percentage",
    "degraded_percentage",
    "saturated_defective_percentage",
    "solar_zenith",
    "reflectance_conversion",
    "datation_residual_ns",
    "missing_file_frames",
)


@dataclass(frozen=True, slots=True)
class Product:
    """What a product is, as far as its trends need it.

    Attributes
    ----------
    name, level, unit, tile, baseline, gipp_set, datatake : str
        ``tile`` is empty for a datastrip; ``baseline`` is ``05.11``.
    kind : str
        ``TILE``, ``DATASTRIP``, ``GRANULE``, or ``PRODUCT`` for what holds tiles.
    sensing_time, generation_time : str
        UTC, ISO 8601; that of sensing as `stamp` writes it.
    """

    name: str
    level: str
    unit: str
    sensing_time: str
    kind: str = "TILE"
    tile: str = ""
    baseline: str = ""
    gipp_set: str = ""
    datatake: str = ""
    generation_time: str = ""

    @property
    def identity(self) -> str:
        """Return the hash that tells this product from every other one, also from its own reprocessing."""
        told = (self.name, self.level, self.kind, self.generation_time, self.gipp_set, self.sensing_time)
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    @property
    def month(self) -> str:
        """Return the month of sensing, ``2026-10``."""
        return self.sensing_time[:7]


@dataclass(frozen=True, slots=True)
class Indicator:
    """One number of quality of a product; the outcome of a check has a checklist, a severity and a status.

    Attributes
    ----------
    indicator : str
    value : float or None
        None: not measured.
    band : str
        ``B04``; empty: of the whole product.
    detector : int
        1 to 12; 0: of all.
    checklist, severity, status : str
    """

    indicator: str
    value: float | None
    band: str = ""
    detector: int = 0
    checklist: str = ""
    severity: str = ""
    status: str = ""


def instant(text: str, where: str) -> datetime:
    """Return a date of a product, UTC without a zone."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no date", where, "the metadata are wrong: make or fetch it again") from None
    return told if told.tzinfo is None else told.astimezone(UTC).replace(tzinfo=None)


def stamp(text: str, where: str) -> str:
    """Return a date of a product in the one form that the store has."""
    return f"{instant(text, where).isoformat(timespec='milliseconds')}Z"


def _working_name(facts: Mapping[str, Any], sensing: str) -> str:
    """Return the name of a datastrip that is not delivered: as the mission's, without site and date of making."""
    if facts.get("tile_id") or not facts.get("baseline"):
        return ""
    start = re.sub(r"[-:]|\..*", "", sensing)
    return f"{unit(str(facts.get('unit', ''))).name}_OPER_MSI_{facts['level']:_<3}_DS_S{start}_N{facts['baseline']}"


def product_of(facts: Mapping[str, Any], where: str) -> Product:
    """Return what a product is from the ``s2dask`` attributes of its store.

    Parameters
    ----------
    facts : mapping
    where : str
        The product, for messages.
    """
    level = str(facts.get("level", ""))
    if level not in _LEVELS:
        raise InputError(f"level is {level!r}", where, f"give a product of {', '.join(_LEVELS)}")
    sensing = stamp(str(facts.get("sensing_time") or facts.get("sensing_start") or ""), f"{where}: sensing_start")
    return Product(
        name=str(facts.get("name") or _working_name(facts, sensing) or where.rstrip("/").rpartition("/")[2]),
        level=level,
        unit=unit(str(facts.get("unit", ""))).name,
        sensing_time=sensing,
        kind="TILE" if facts.get("tile_id") else "DATASTRIP",
        tile=str(facts.get("tile_id", "")),
        baseline=str(facts.get("baseline", "")),
        gipp_set=str(facts.get("gipp_set", "")),
        datatake=str(facts.get("datatake_id", "")),
        generation_time=str(facts.get("generation_time", "")),
    )


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _of_band(name: str, value: float) -> Indicator:
    """Return an entry of a record, ``d05.b04.mean`` or ``r20m.b02.mean``, under its plain name.

    That of the worst detector of a band, ``stripe_index.B04``, is the band's.
    """
    if worst := _WORST.fullmatch(name):
        return Indicator(worst[1], _number(value), worst[2])
    match = _OF_BAND.fullmatch(name)
    if match is None:
        return Indicator(name, _number(value))
    detector, resolution, image, what = match.groups()
    plain = f"{what}_{resolution}m" if resolution else what
    return Indicator(plain, _number(value), _BANDS[image], int(detector or 0))


def _shares(record: Mapping[str, float]) -> dict[str, float]:
    """Return the counts of flagged pixels as shares of the image [%], whatever its size."""
    out = {}
    for name, value in record.items():
        prefix, _, what = name.rpartition(".")
        if what in _COUNTS and record.get(f"{prefix}.pixels"):
            out[f"{prefix}.{what}_percentage"] = 100.0 * value / record[f"{prefix}.pixels"]
    return out


def _moments(facts: Mapping[str, Any], record: Mapping[str, float]) -> dict[str, float]:
    """Return means, deviations, extremes and valid shares; reflectance of L2A, coded in the record, as reflectance."""
    extremes = {name: value for name, value in record.items() if name.endswith(("value_min", "value_max"))}
    out = finalise(record) | extremes
    if facts["level"] != "L2A":
        return out
    offset, scale = float(facts.get("boa_add_offset", 0.0)), float(facts["quantification"])
    for name, value in out.items():
        if name.endswith((".mean", ".value_min", ".value_max")):
            out[name] = (value + offset) / scale
        elif name.endswith(".standard_deviation"):
            out[name] = value / scale
    return out


def _of_record(facts: Mapping[str, Any]) -> Iterator[Indicator]:
    told = {re.sub(r"\.count$", ".valid", name): value for name, value in facts.get("record", {}).items()}
    images = {name: value for name, value in told.items() if _OF_BAND.fullmatch(name)}
    plain = {name: value for name, value in told.items() if "." not in name or _WORST.fullmatch(name)}
    measured = {name: value for name, value in images.items() if name.rpartition(".")[2] in _MEASURED}
    for name, value in sorted((_moments(facts, images) | _shares(images) | plain | measured).items()):
        yield _of_band(name, value)


def _of_attributes(facts: Mapping[str, Any]) -> Iterator[Indicator]:
    for key, name in _BY_BAND.items():
        for band, value in facts.get(key, {}).items():
            yield Indicator(name, _number(value), band)
    for key in _OF_PRODUCT:
        if key in facts and key not in facts.get("record", {}):
            yield Indicator(key, _number(facts[key]))
    for key, value in facts.get("counters", {}).items():
        yield Indicator(key, _number(value))


def outcome(check: Mapping[str, Any]) -> Indicator:
    """Return the outcome of a check (id, checklist, severity, status and value, if it has one) as an indicator.

    One that was not made, because what it needs is not there, has the status NOT_MADE.
    """
    value = check.get("value")
    return Indicator(
        str(check["id"]),
        _number(value) if isinstance(value, int | float) else None,
        str(check.get("band", "")),
        int(check.get("detector", 0)),
        checklist=str(check["checklist"]),
        severity=str(check.get("severity", "")),
        status=str(check["status"]) if check.get("done", True) else "NOT_MADE",
    )


def indicators_of(facts: Mapping[str, Any]) -> tuple[Indicator, ...]:
    """Return every indicator that the ``s2dask`` attributes of a product tell: its record, its facts, its checks.

    Notes
    -----
    Sums of a record come as mean, standard deviation and share of valid pixels; counts of flagged pixels as shares of
    the image; reflectance of L2A as reflectance and not as coded integers.
    """
    checks = (outcome(check) for check in facts.get("checks", ()))
    return (*_of_record(facts), *_of_attributes(facts), *checks)
