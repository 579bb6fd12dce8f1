"""The SAFE of an L1A or L1B datastrip, one task a granule."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from s2dask.auxdata.gipp_radiometry import read_r2abca
from s2dask.auxdata.gipp_restoration import read_r2nomo
from s2dask.auxdata.gipp_scenario import operational_scenario, read_r2para
from s2dask.auxdata.gipp_set import GippSet
from s2dask.graph.tasks import Ref, TaskGraph
from s2dask.io.template import set_attributes
from s2dask.production.quicklook import quicklook
from s2dask.production.setting import open_gipps
from s2dask.production.strip import strip_facts
from s2dask.release.safe_l0_strip import LOCATION
from s2dask.release.safe_l1ab import RADIOMETRY, Counts, L1Strip, write_datastrip, write_granule


def radiometry_of(gipps: GippSet, bands: Sequence[str], level: str) -> dict[str, Any]:
    """Return what the metadata of a datastrip say about its radiometry (`s2dask.io.safe_l1b_metadata.radiometry`).

    Parameters
    ----------
    gipps : GippSet
        What the strip was made with.
    bands : sequence of str
    level : str
        ``L1A``, of which nothing but lines without data and saturated pixels is looked for, or ``L1B``.
    """
    absolute = read_r2abca(gipps.path("R2ABCA"), gipps.unit)
    told = read_r2para(gipps.path("R2PARA"), gipps.unit) if gipps.has("R2PARA") else operational_scenario(gipps.unit)
    noise = read_r2nomo(gipps.path("R2NOMO"), gipps.unit).bands if gipps.has("R2NOMO") else {}
    raw = level == "L1A"
    return {
        "physical_gains": {name: absolute.gains[name] for name in bands},
        "radio_add_offset": told.radiance_offset_l1b, "swir_rearrangement": told.swir_rearrangement,
        "equalised": {name: [told.offset[name], told.dark_signal[name]] for name in bands if told.equalization[name]},
        "crosstalk_optical": told.crosstalk_optical, "crosstalk_electronic": told.crosstalk_electronic,
        "remove_blind_pixels": told.remove_blind_pixels, "binning": told.binning,
        "defective_pixels": "false" if raw else told.defective_management,
        "no_data_pixels": "detection" if raw else told.no_data_management,
        "saturated_pixels": told.saturated_pixels in (level, "BOTH"), "restored": told.restoration_flag,
        "restoration": {
            name: [one.scenario, one.lowest, one.highest] for name, one in told.restorations.items() if name in bands
        },
        "noise": {name: [one.alpha, one.beta] for name, one in noise.items() if name in bands},
        "accuracy": {name: value for name, value in absolute.accuracy.items() if name in bands},
    }  # fmt: skip


def describe_strip(l0: str, store: str, aux: str) -> None:
    """Leave in the root of an L1A or L1B store what its SAFE is described with: location, clouds and radiometry.

    Parameters
    ----------
    l0 : str
        L0 store that it was made of: its quick-look is made.
    store : str
    aux : str
        Folder of auxiliary files.
    """
    facts = strip_facts(store)
    stated = {
        LOCATION: quicklook(l0, aux).location,
        RADIOMETRY: radiometry_of(open_gipps(l0, aux), facts.bands, facts.level),
    }
    set_attributes(store, {"s2dask": facts.attrs | stated})
    strip_facts.cache_clear()


def add_safe(graph: TaskGraph, store: str, folder: Path, created: datetime) -> tuple[Path, Ref]:
    """Add one task per granule of an L1A or L1B SAFE, and that of its datastrip.

    Returns
    -------
    product : Path
        Folder ``….SAFE``, complete when the task is done.
    last : Ref
    """
    strip = L1Strip.open(store, created.replace(microsecond=0))
    product, level, granules = folder / f"{strip.name}.SAFE", strip.level, strip.granules
    counts = [
        graph.add(f"FORMAT_IMG_{level}-D{d:02d}-G{scene:03d}", write_granule, store, product, strip.created, d, scene)
        for d, scene in granules
    ]
    name = f"FORMAT_METADATA_DS_{level}-all"
    return product, graph.add(name, _finish, store, product, strip.created, granules, counts)


def _finish(
    store: str,
    product: Path,
    created: datetime,
    granules: Sequence[tuple[int, int]],
    counts: Sequence[dict[str, Counts]],
) -> str:
    known = {
        (d, band, scene): (found[0], found[1], found[2])
        for (d, scene), bands in zip(granules, counts, strict=True)
        for band, found in bands.items()
    }
    return str(write_datastrip(store, product, created, known))
