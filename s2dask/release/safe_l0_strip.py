"""An L0 store as its SAFE sees it: names, packets, and the facts of the metadata files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import zarr
from numpy.typing import NDArray

from s2dask.errors import InputMissing
from s2dask.instrument import BANDS, LINE_PERIOD, SCENE_SECONDS, Band, band, unit
from s2dask.instrument.timing import SCENE_LINES_10M
from s2dask.io.safe_l0 import DEGRADED, LOST
from s2dask.io.safe_l0_metadata import Counter, DatastripFacts, GranuleFacts
from s2dask.io.schema_strip import downlink_path, packet_path
from s2dask.io.storage import open_array, zarr_store
from s2dask.release.name_form import compact_time, parse_iso
from s2dask.release.names import DatastripName, GranuleName
from s2dask.release.safe_l0_sections import gps_date, sections
from s2dask.release.tile_store import SITE, iso

LOCATION: Final = "location"
"""Root attribute with what INIT_LOC_L0 and QL_CLOUD_MASK found: footprints, angles, cloud, references."""


@dataclass(frozen=True)
class L0Strip:
    """An L0 store and when it is released.

    Attributes
    ----------
    url : str
    attrs : dict
        Root attribute ``s2dask``.
    created : datetime
    """

    url: str
    attrs: dict[str, Any] = field(repr=False)
    created: datetime

    @classmethod
    def open(cls, url: str, created: datetime) -> Self:
        """Open a store that has been located."""
        attrs: Any = zarr.open_group(zarr_store(url, read_only=True), mode="r").attrs["s2dask"]
        if LOCATION not in attrs:
            raise InputMissing(
                "the strip has no footprints", url, "run the quick-look (s2dask.production.quicklook) before the SAFE"
            )
        return cls(url, dict(attrs), created)

    @property
    def name(self) -> DatastripName:
        """Name of the datastrip."""
        a = self.attrs
        return DatastripName(str(a["unit"]), "L0", SITE, self.created, parse_iso(a["sensing_start"]), a["baseline"])

    @property
    def detectors(self) -> list[int]:
        """Detectors of the strip."""
        return [int(d) for d in self.attrs["detectors"]]

    @property
    def bands(self) -> list[Band]:
        """Bands of the strip."""
        return [band(str(name)) for name in self.attrs["bands"]]

    @cached_property
    def first_line_dates(self) -> NDArray[np.int64]:
        """Centre of line 0, (detector, band) int64, GPS [ns]."""
        return np.asarray(open_array(self.url, "conditions/datation/first_line_date")[...])

    @property
    def leap(self) -> int:
        """GPS minus UTC [s]."""
        start = parse_iso(self.attrs["sensing_start"]).timestamp() - 315_964_800
        return round(int(self.attrs["sensing_start_gps"]) / 1e9 - start)

    def utc(self, gps: int) -> datetime:
        """Return the UTC date of a GPS time [ns]."""
        return parse_iso("1980-01-06T00:00:00Z") + timedelta(microseconds=gps // 1000 - self.leap * 1_000_000)

    def sensing(self, detector: int, scene: int) -> datetime:
        """Return when a granule begins: with the first line of its first band."""
        first = int(self.first_line_dates[self.detectors.index(detector)].min())
        return self.utc(first + round(scene * SCENE_SECONDS * 1e9))

    def granule(self, detector: int, scene: int) -> GranuleName:
        """Return the name of a granule."""
        n = self.name
        return GranuleName(n.unit, "L0", n.site, n.created, self.sensing(detector, scene), detector, n.baseline)

    def read(self, detector: int, b: Band, scene: int, variable: str) -> NDArray[Any]:
        """Return a variable of the packets of a granule and band."""
        per = b.packets_per_scene
        array = open_array(self.url, f"{packet_path(detector, b.name)}/{variable}")
        return np.asarray(array[scene * per : (scene + 1) * per])

    def downlink_times(self, detector: int, b: Band, scene: int) -> NDArray[np.int64]:
        """Return when the packets of a granule and band began to be received, UTC since 2000 [ns], 0 when unknown."""
        per = b.packets_per_scene
        array = open_array(self.url, downlink_path(detector, b.name))
        return np.asarray(array[scene * per : (scene + 1) * per])

    def counts(self, detector: int, b: Band, scene: int) -> tuple[int, int, int]:
        """Return packets expected, lost and degraded in a granule and band."""
        status = self.read(detector, b, scene, "status")
        return status.size, int((status == LOST).sum()), int((status == DEGRADED).sum())

    def location(self, detector: int, scene: int) -> dict[str, Any]:
        """Return what is known about the place of a granule."""
        for entry in self.attrs[LOCATION]["granules"]:
            if (entry["detector"], entry["scene"]) == (detector, scene):
                return dict(entry)
        raise InputMissing(f"no footprint of D{detector:02d}, scene {scene}", self.url, "run the quick-look again")


def granule_facts(strip: L0Strip, detector: int, scene: int) -> GranuleFacts:
    """Return the facts of a granule of a store."""
    place, counts = strip.location(detector, scene), {b: strip.counts(detector, b, scene) for b in strip.bands}
    expected, lost, degraded = (sum(c[i] for c in counts.values()) for i in range(3))
    # every band of the instrument is listed, one that was not received with no packet
    packets: dict[int, Counter] = {b.index: (1, 1, 0) for b in BANDS.values()}
    packets |= {b.index: (1, 1, c[0] - c[1]) for b, c in counts.items()}
    return GranuleFacts(
        str(strip.granule(detector, scene)), str(strip.name), detector, iso(strip.sensing(detector, scene)), "NOMINAL",
        SITE, iso(strip.created, microseconds=True), f"DATABLOCK=DB1;CODEC={strip.attrs['codec']}",
        np.array(place["footprint"]), 1 + scene * SCENE_LINES_10M, tuple(place["centre"]), tuple(place["incidence"]),
        tuple(place["sun"]), round(float(place["cloud"]), 6), round(100.0 * (lost + degraded) / expected, 6), packets,
    )  # fmt: skip


def datastrip_facts(strip: L0Strip) -> DatastripFacts:
    """Return the facts of the datastrip of a store.

    Notes
    -----
    DATASTRIP_SENSING_STOP is the start of the last scene, and dates of bands are those at which their first line
    begins, GPS: so it is in real products.
    """
    a, found, scenes = strip.attrs, strip.attrs[LOCATION], int(strip.attrs["scenes"])
    datation: Mapping[str, Any] = a.get("datation") or {}
    flight, start = unit(str(a["unit"])), parse_iso(a["sensing_start"])
    counts = {
        (d, b): np.sum([strip.counts(d, b, scene) for scene in range(scenes)], axis=0)
        for d in strip.detectors for b in strip.bands
    }  # fmt: skip
    expected, lost, degraded = (int(v) for v in np.sum(list(counts.values()), axis=0))
    created, compressed = iso(strip.created).replace(".000Z", "Z"), a["codec"] != "raw12"
    return DatastripFacts(
        {
            "id": a["datatake_id"], "spacecraft": flight.spacecraft, "type": str(a.get("datatake_type", "INS-NOBS")),
            "start": str(a.get("datatake_start", a["sensing_start"])), "orbit": str(a["relative_orbit"]),
            "direction": found["direction"],
        },
        iso(start), iso(start + timedelta(seconds=(scenes - 1) * SCENE_SECONDS)),
        {
            "baseline": a["baseline"], "centre": SITE, "created": created, "station": _station(a),
            "downlink_orbit": str(a["absolute_orbit"]), "archiving_centre": SITE, "archived": created,
        },
        {
            d: tuple((str(strip.granule(d, s)), 1 + s * SCENE_LINES_10M) for s in range(scenes))
            for d in strip.detectors
        },
        tuple(strip.detectors),
        {
            "compress": "true" if compressed else "false",
            "equalization": "true" if a.get("equalization_mode", False) else "false",
            "nuc_table": str(a.get("nuc_table_id", 0)),
        },
        {b.index: "APPLIED" for b in BANDS.values() if b.tdi},
        {
            b.index: (
                0.0, b.compression_rate if compressed else 1.0,
                round(1e3 * flight.bands[b.name].integration_time, 7),
            )
            for b in strip.bands
        },
        {(d, b.index): (1, 1, int(c[0] - c[1])) for (d, b), c in counts.items()},
        (round(100.0 * (lost + degraded) / expected, 6), lost, 0, degraded),
        round(1e3 * float(a["line_period"]), 12), _dates(strip),
        bool(datation.get("gps_sync", True)), str(datation.get("used_model", "INITIAL")),
        {
            "dem": _auxiliary(found["dem"], "DEM_LOCAL_", "_S", start), "dem_version": "",
            "iers": _auxiliary(found["iers"]["file"], "AUX_UT1UTC", "_V", start), "band": "3",
            "ancillary": ".//ANC_DATA/",
        },
        sections(strip.url, found, strip.leap), *_regression(strip, datation),
    )  # fmt: skip


def _regression(strip: L0Strip, datation: Mapping[str, Any]) -> tuple[float | None, float | None, dict[str, float]]:
    """Return theoretical line period [ms], residual of a regression [s], and that of each group of packets.

    Notes
    -----
    A strip that was dated without regression has none of them, as in real products. That a group of source packets is
    those of a band and detector, and its number of the band the index, is inferred from the pattern of its name.
    """
    if datation.get("used_model", "INITIAL") == "INITIAL":
        return None, None, {}
    theoretical = round(1e3 * LINE_PERIOD, 9)
    if datation["used_model"] == "EXOGENEOUS":
        return theoretical, None, {}
    start = compact_time(parse_iso(strip.attrs["sensing_start"]))
    residuals = {
        f"DATA_B{band(r['band']).index:02d}_{r['detector']:02d}_{start}": round(1e-9 * r["rms"], 12)
        for r in datation["residuals"]
    }
    return theoretical, round(1e-9 * datation["residual_rms"], 12), residuals


def _station(attrs: dict[str, Any]) -> str:
    """Return the code of the station that received the strip; the mission's codes have four characters."""
    code = str(attrs.get("reception_station") or "")
    return code if len(code) == 4 else SITE


def _auxiliary(name: str, kind: str, key: str, start: datetime) -> str:
    """Return the name of an auxiliary file; one that has none of the mission gets one of this site and of the day."""
    if re.match(r"S2[A-Z_]_\w{4}_\w{10}_\w{4}_\d{8}T\d{6}_", name):
        return name
    day, after = (compact_time(datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(n)) for n in (0, 1))
    end = f"_{after}" if key == "_V" else ""
    return f"S2__OPER_{kind}_{SITE}_{day}{key}{day}{end}"


def _dates(strip: L0Strip) -> dict[tuple[int, int], tuple[int, str]]:
    period, dates = float(strip.attrs["line_period"]), strip.first_line_dates
    return {
        (d, b.index): (1, gps_date(int(dates[i, j]) - round(0.5 * period * b.line_factor * 1e9), 9))
        for j, b in enumerate(strip.bands) for i, d in enumerate(strip.detectors)
    }  # fmt: skip
