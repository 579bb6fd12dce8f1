"""Indicators of quality of a datastrip: sums that the task of a granule makes of what it has at hand, and their end.

The sums of a band and detector are named ``d05.b04:stripe_sum``: they add up over granules as every number of a record
does, and the last task puts what they tell, ``d05.b04.stripe_index``, in their place.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from s2dask.instrument import band
from s2dask.l1a.stage import RawLines
from s2dask.l1b.blind_residual import blind_indicators, blind_sums
from s2dask.l1b.crosstalk import TRIO
from s2dask.l1b.ghosts import TYPICAL, Cells, cells_of, ghost_indicators, ghost_sums
from s2dask.l1b.noise import noise_sigma
from s2dask.l1b.parameters import BandParameters, RadiometricParameters
from s2dask.l1b.patches import ROUNDING, Sums, patch_sums, pattern_indicators
from s2dask.l1b.stage import GranuleBand
from s2dask.qc.records import Record

WORST: Final = (
    "noise_ratio", "stripe_at_reference", "step_at_reference", "bad_columns", "blind_pixel_offset",
    "blind_pixel_residual", "ghost_excess",
)  # fmt: skip
"""Indicators of which a strip tells the worst detector of each band, ``bad_columns.B04``, for its checks."""
LEAST: Final = ("signal_to_noise",)
"""The same of which the worst is the smallest."""
SIGNIFICANT: Final = 3.0
"""Standard errors that a ghost must exceed."""


def _prefix(detector: int, name: str) -> str:
    return f"d{detector:02d}.{name.lower()}"


def _leaks(parameters: RadiometricParameters) -> dict[tuple[str, str], float]:
    """Return the coefficients between the SWIR bands, by victim and source; typical ones where the GIPP has none."""
    table = parameters.leaks
    told = {(v, s): float(table[band(v).index, band(s).index]) for v in TRIO for s in TRIO if v != s}
    return told if any(told.values()) else dict(TYPICAL)


def _reference(p: BandParameters, gain: float) -> Sums:
    """Return the expected noise at the reference radiance, to be averaged over granules [LSB]."""
    count = p.gain * band(p.name).radiance_reference
    sigma = float(noise_sigma(count, p.noise_alpha, p.noise_beta))
    noise = float(np.sqrt(gain * sigma**2 + ROUNDING))
    return {"granules": 1.0, "reference_noise": noise, "reference_count": count}


def _line_sums(raw: RawLines, window: slice) -> Sums:
    bad, degraded = (int(np.count_nonzero(flags[window])) for flags in (raw.bad, raw.degraded))
    return {"missing_lines": float(bad), "degraded_lines": float(degraded)}


def raw_sums(
    parameters: RadiometricParameters,
    first: Mapping[str, int],
    lines: Mapping[str, RawLines],
    windows: Mapping[str, tuple[int, int]],
    *,
    crosstalk: bool = True,
) -> Record:
    """Return the sums of the raw lines of a granule: blind pixels, crosstalk before its removal, missing lines.

    Parameters
    ----------
    parameters : RadiometricParameters
    first : mapping of str to int
        Number of the first line of each band.
    lines : mapping of str to RawLines
    windows : mapping of str to (int, int)
        First line of the granule and of the next, of the bands to look at.
    crosstalk : bool
        Whether the SWIR lines are as the instrument read them.
    """
    record: Record = {}
    cells: dict[str, Cells] = {}
    for name, (start, stop) in windows.items():
        p, raw, prefix = parameters.bands[name], lines[name], _prefix(parameters.detector, name)
        here = slice(start - first[name], stop - first[name])
        sums = blind_sums(raw.counts[here], raw.bad[here], start, p.dark, p.blind) | _line_sums(raw, here)
        record |= {f"{prefix}:{what}": value for what, value in sums.items()}
        if name in TRIO and crosstalk:
            cells[name] = cells_of(name, raw.counts[here], p.dark, start)
    return record | _ghosts(cells, parameters, "leak")


def _ghosts(cells: Mapping[str, Cells], parameters: RadiometricParameters, prefix: str) -> Record:
    found = ghost_sums(cells, _leaks(parameters), prefix)
    where = {name: _prefix(parameters.detector, name) for name in found}
    return {f"{where[name]}:{what}": v for name, sums in found.items() for what, v in sums.items()}


def granule_sums(
    parameters: RadiometricParameters,
    first: Mapping[str, int],
    lines: Mapping[str, RawLines],
    windows: Mapping[str, tuple[int, int]],
    images: Mapping[str, GranuleBand],
) -> Record:
    """Return all sums of a granule of L1B; see `raw_sums` for the parameters.

    Parameters
    ----------
    images : mapping of str to GranuleBand
        What was made of the lines.
    """
    record = raw_sums(parameters, first, lines, windows)
    cells: dict[str, Cells] = {}
    for name, image in images.items():
        p, prefix = parameters.bands[name], _prefix(parameters.detector, name)
        gain = float(np.square(p.binning, dtype=np.float64).sum()) if p.binning.size else 1.0
        noise = p.noise_alpha, p.noise_beta
        sums = patch_sums(image.counts, image.quality, parameters.shift, noise, gain) | _reference(p, gain)
        record |= {f"{prefix}:{what}": value for what, value in sums.items()}
        if name in TRIO:
            cells[name] = cells_of(name, image.counts)
    return record | _ghosts(cells, parameters, "ghost")


def _measured(sums: Mapping[str, float]) -> dict[str, float]:
    """Return the indicators of one band and detector."""
    out = blind_indicators(sums) | pattern_indicators(sums) | ghost_indicators(sums)
    out |= {what: sums[what] for what in ("missing_lines", "degraded_lines") if what in sums}
    if "noise_ratio" in out:
        out["noise"] = out["noise_ratio"] * sums["reference_noise"] / sums["granules"]
        out["signal_to_noise"] = sums["reference_count"] / sums["granules"] / out["noise"]
    if "pattern_level" in out:
        # what is a pattern of the dark signal is small beside the reference radiance, where the mission asks for it
        share = min(out.pop("pattern_level") * sums["granules"] / sums["reference_count"], 1.0)
        out["stripe_at_reference"] = share * out.pop("stripe_excess")
        out["step_at_reference"] = share * abs(out["odd_even_step"])
    if "ghost_index" in out:
        out["ghost_excess"] = max(abs(out["ghost_index"]) - SIGNIFICANT * out["ghost_error"], 0.0)
    return out


def finish_indicators(record: Mapping[str, float]) -> Record:
    """Return the record of a datastrip with what its sums tell in their place.

    Parameters
    ----------
    record : mapping of str to float
        Of all granules.

    Returns
    -------
    dict of str to float
        ``d05.b04.stripe_index`` …; the worst detector of each band of `WORST` and `LEAST`, ``bad_columns.B04`` …, and
        of ``saturated_percentage`` [%];
        ``missing_lines`` and ``degraded_lines`` of all.
    """
    out: Record = {}
    sums: dict[str, Sums] = {}
    for name, value in record.items():
        prefix, mark, what = name.partition(":")
        if mark:
            sums.setdefault(prefix, {})[what] = value
        else:
            out[name] = value
    for name in [n for n in record if n.endswith(".saturated")]:
        prefix = name.removesuffix(".saturated")
        key = f"saturated_percentage.{prefix.rpartition('.')[2].upper()}"
        share = 100.0 * record[name] / max(record.get(f"{prefix}.count", 0.0), 1.0)
        out[key] = max(out.get(key, 0.0), share)
    for prefix, found in sums.items():
        measured = _measured(found)
        out |= {f"{prefix}.{what}": value for what, value in measured.items()}
        of_band = prefix.rpartition(".")[2].upper()
        for what in (w for w in WORST if w in measured):
            key = f"{what}.{of_band}"
            out[key] = max(out.get(key, 0.0), abs(measured[what]))
        for what in (w for w in LEAST if w in measured):
            key = f"{what}.{of_band}"
            out[key] = min(out.get(key, float("inf")), measured[what])
        for what in ("missing_lines", "degraded_lines"):
            out[what] = out.get(what, 0.0) + measured.get(what, 0.0)
    return out
