"""From the packets of a datastrip to its L1A images, granule by granule: one function for production and notebooks."""

from collections.abc import Mapping

import numpy as np

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import InputMissing
from s2dask.instrument import band
from s2dask.instrument.quality import MSI_LOST, NODATA, SATURATED
from s2dask.io.schema import image_path, mask_path
from s2dask.io.strips import StripSource
from s2dask.io.writer import write_block
from s2dask.l1a.line_quality import line_flags
from s2dask.l1a.rearrangement import MARGIN
from s2dask.l1a.stage import RawGranule, RawLines, finish_lines, is_rearranged
from s2dask.production.strip import (
    ancillary_lines,
    granule_parameters,
    raw_lines,
    raw_parameters,
    start_images,
    strip_facts,
)
from s2dask.production.strip_indicators import raw_sums
from s2dask.qc.records import Record, image_record


def l1a_lines(store: str, gipps: GippSet, detector: int, name: str, start: int, stop: int) -> RawGranule:
    """Return lines [start, stop) of the L1A image of a band and detector.

    Parameters
    ----------
    store : str
        L0 store, whose packets are decoded, or L1A store, which is read.
    gipps : GippSet
    detector : int
    name : str
        Band.
    start, stop : int
        Within the strip.
    """
    if strip_facts(store).level == "L1A":
        return RawGranule(*StripSource(store).read(detector, name, start, stop))
    parameters = raw_parameters(store, gipps, detector)
    taps = parameters.taps.get(name)
    margin = 0 if taps is None else MARGIN
    first, raw = raw_lines(store, detector, name, start - margin, stop + margin, parameters.inverse.get(name))
    ancillary = ancillary_lines(store, detector, name, first, raw.bad.size)
    return finish_lines(raw, ancillary, detector, taps, (start - first, stop - first))


def start_l1a(l0: str, l1a: str, gipps: GippSet) -> None:
    """Create the empty L1A store of a datastrip with its orbit, attitude and dates (step RADIO_INIT)."""
    start_images(l0, l1a, "L1A", swir_rearranged=is_rearranged(gipps))


def write_l1a_granule(l0: str, l1a: str, gipps: GippSet, detector: int, scene: int) -> Record:
    """Make one L1A granule, write its chunks and return its record (steps DECOMP, RADIO_AB)."""
    record: Record = {}
    lines: dict[str, RawLines] = {}
    for name in strip_facts(l0).bands:
        per = band(name).lines_per_scene
        image = l1a_lines(l0, gipps, detector, name, scene * per, (scene + 1) * per)
        counts, mask, origin = image_path(detector, name), mask_path(detector, name), (scene * per, 0)
        write_block(l1a, {counts: image.counts, mask: image.quality}, {counts: origin, mask: origin})
        prefix = f"d{detector:02d}.{name.lower()}"
        record |= image_record(image.counts, (image.quality & NODATA) == 0, prefix)
        for what, bit in (("nodata", NODATA), ("lost", MSI_LOST), ("saturated", SATURATED)):
            record[f"{prefix}.{what}"] = float(np.count_nonzero(image.quality & bit))
        lines[name] = RawLines(image.counts, *line_flags(image.quality))
    return record | _sums(l0, gipps, detector, scene, lines)


def _sums(l0: str, gipps: GippSet, detector: int, scene: int, lines: Mapping[str, RawLines]) -> Record:
    """Return the sums of the indicators of a granule; none where the GIPPs do not tell the dark signal."""
    try:
        parameters = granule_parameters(l0, gipps, detector)
    except InputMissing:
        return {}
    windows = {name: (scene * raw.bad.size, (scene + 1) * raw.bad.size) for name, raw in lines.items()}
    first = {name: start for name, (start, _) in windows.items()}
    return raw_sums(parameters, first, lines, windows, crosstalk=not is_rearranged(gipps))
