"""The SAFE form of L1A and L1B: DATASTRIP, and GRANULE with a folder for each granule (detector x scene)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputMissing
from s2dask.instrument import LINES_PER_PACKET, Band, unit
from s2dask.instrument.quality import FLAGS, MSI_DEGRADED, MSI_LOST
from s2dask.io.safe_l0_metadata import DatastripFacts
from s2dask.io.strips import StripSource
from s2dask.release.jpeg2000 import MaskLayers, write_jp2
from s2dask.release.name_form import parse_iso
from s2dask.release.names import DatastripName, GranuleName
from s2dask.release.safe_l0 import describe, finish, make_folders
from s2dask.release.safe_l0_reports import sensor_inspections
from s2dask.release.safe_l0_strip import L0Strip, datastrip_facts, granule_facts
from s2dask.release.safe_l1ab_xml import datastrip_metadata, granule_metadata
from s2dask.release.safe_xml import write_document
from s2dask.release.tile_store import SITE

RADIOMETRY: Final = "radiometry"
"""Root attribute with what the radiometric correction did and with which coefficients, as the metadata tell it."""
_CODING: Final = 10
"""Resolution of L1C whose coding parameters all images and masks take [m]: those of real L1A and L1B are not public."""
Counts = tuple[int, int, int]
"""Packets expected, lost and degraded."""


def count_packets(quality: NDArray[np.uint16]) -> Counts:
    """Return the packets behind an image and how many of them its quality layer says are lost and degraded.

    Parameters
    ----------
    quality : (line, column) uint16
        Of whole packets; one counts by the lines of its middle column.
    """
    middle = quality[:, quality.shape[1] // 2].reshape(-1, LINES_PER_PACKET)
    lost = (middle & MSI_LOST).any(1)
    degraded = (middle & MSI_DEGRADED).any(1) & ~lost
    return middle.shape[0], int(lost.sum()), int(degraded.sum())


@dataclass(frozen=True)
class L1Strip(L0Strip):
    """An L1A or L1B store and when it is released.

    Attributes
    ----------
    known : mapping of (int, str, int) to Counts
        By detector, band and scene, where they need not be counted any more.
    """

    known: Mapping[tuple[int, str, int], Counts] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, url: str, created: datetime) -> Self:
        """Open a store that is located and says how it was corrected."""
        strip = super().open(url, created)
        if RADIOMETRY not in strip.attrs:
            remedy = "let the run that made it describe it (s2dask.production.strip_release)"
            raise InputMissing("the strip does not say how it was corrected", f"{url} {RADIOMETRY}", remedy)
        return strip

    @property
    def level(self) -> str:
        """``L1A`` or ``L1B``."""
        return str(self.attrs["level"])

    @property
    def name(self) -> DatastripName:
        """Name of the datastrip."""
        a = self.attrs
        return DatastripName(
            str(a["unit"]), self.level, SITE, self.created, parse_iso(a["sensing_start"]), a["baseline"]
        )

    @property
    def granules(self) -> list[tuple[int, int]]:
        """Detector and scene of each granule."""
        return [(d, scene) for scene in range(int(self.attrs["scenes"])) for d in self.detectors]

    def granule(self, detector: int, scene: int) -> GranuleName:
        """Return the name of a granule."""
        return replace(super().granule(detector, scene), level=self.level)

    def images(self, detector: int, b: Band, scene: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Return counts and quality of a granule and band."""
        first = scene * b.lines_per_scene
        return StripSource(self.url).read(detector, b.name, first, first + b.lines_per_scene)

    def counts(self, detector: int, b: Band, scene: int) -> Counts:
        """Return packets expected, lost and degraded in a granule and band."""
        key = detector, b.name, scene
        return self.known[key] if key in self.known else count_packets(self.images(detector, b, scene)[1])


def write_granule(
    url: str, folder: str | Path, created: datetime, detector: int, scene: int, schemas: str | Path | None = None
) -> dict[str, Counts]:
    """Write the folder of one granule: images, quality masks, metadata, manifest, reports and inventory.

    Parameters
    ----------
    url : str
        L1A or L1B store with its root attributes ``location`` and ``radiometry``.
    folder : str or Path
        Product folder; the granule appears in its GRANULE.
    created : datetime
        UTC; part of every name, the same for all granules.
    detector, scene : int
    schemas : str or Path, optional
        As for `s2dask.release.safe_l0.write_safe_l0`.

    Returns
    -------
    dict of str to Counts
        By band, for the metadata of the datastrip.
    """
    strip = L1Strip.open(url, created)
    name = strip.granule(detector, scene)
    target = make_folders(Path(folder) / "GRANULE" / str(name), ("IMG_DATA", "QI_DATA", "rep_info"))
    counts: dict[str, Counts] = {}
    for b in strip.bands:
        image, quality = strip.images(detector, b, scene)
        write_jp2(target / "IMG_DATA" / name.image(b.name), image, None, _CODING)
        layers = MaskLayers(quality, [bit for _, bit in FLAGS])
        write_jp2(target / "QI_DATA" / f"{name.mask(b.name)}.jp2", layers, None, _CODING)
        counts[b.name] = count_packets(quality)
    strip = replace(strip, known={(detector, band, scene): found for band, found in counts.items()})
    facts = granule_facts(strip, detector, scene)
    write_document(granule_metadata(facts, name, list(counts)), target / name.metadata)
    lost, degraded = (sum(found[i] for found in counts.values()) for i in (1, 2))
    finish(describe(strip, "Granule", name, detector, scene), target, schemas, lost, degraded)
    return counts


def _facts(strip: L1Strip) -> DatastripFacts:
    """Return the facts of the metadata of L0, with the physical gains of the images."""
    facts, gains = datastrip_facts(strip), strip.attrs[RADIOMETRY]["physical_gains"]
    bands = {b.index: (float(gains[b.name]), *facts.bands[b.index][1:]) for b in strip.bands}
    return replace(facts, bands=bands, references={**facts.references, "ancillary": ""})


def write_datastrip(
    url: str,
    folder: str | Path,
    created: datetime,
    known: Mapping[tuple[int, str, int], Counts],
    schemas: str | Path | None = None,
) -> Path:
    """Write the folder of the datastrip below DATASTRIP of a product folder, and return it.

    Parameters
    ----------
    url, folder, created, schemas
        As for `write_granule`.
    known : mapping of (int, str, int) to Counts
        What `write_granule` returned, by detector, band and scene.
    """
    strip = replace(L1Strip.open(url, created), known=known)
    name, facts = strip.name, _facts(strip)
    target = make_folders(Path(folder) / "DATASTRIP" / str(name), ("QI_DATA", "rep_info"))
    metadata = datastrip_metadata(facts, name, strip.attrs[RADIOMETRY], unit(str(strip.attrs["unit"])))
    write_document(metadata, target / name.metadata)
    told = sensor_inspections(strip.attrs)
    finish(describe(strip, "Datastrip", name), target, schemas, facts.degradation[1], facts.degradation[3], told)
    return target


def write_safe_l1ab(
    url: str,
    folder: str | Path,
    created: datetime,
    schemas: str | Path | None = None,
    granules: Iterable[tuple[int, int]] | None = None,
) -> Path:
    """Write the SAFE of an L1A or L1B store in this process, granule after granule.

    Parameters
    ----------
    url, created, schemas
        As for `write_granule`.
    folder : str or Path
        Where the product folder ``….SAFE`` appears.
    granules : iterable of (int, int), optional
        Only these detectors and scenes: a partial product, whose datastrip lists all granules all the same.

    Returns
    -------
    Path
    """
    strip = L1Strip.open(url, created)
    target = Path(folder) / f"{strip.name}.SAFE"
    wanted = granules if granules is not None else strip.granules
    known = {
        (d, band, scene): counts
        for d, scene in wanted
        for band, counts in write_granule(url, target, created, d, scene, schemas).items()
    }
    write_datastrip(url, target, created, known, schemas)
    return target
