"""Records of statistics: made by the block task that writes, combined as a tree, never recomputed.

A record is a flat mapping of names to numbers. The suffix says how two of them combine: ``_min`` and ``_max`` by
extreme, everything else (counts, sums, sums of squares) by addition.
"""

from collections.abc import Iterable, Mapping

import numpy as np

Record = dict[str, float]


def image_record(values: np.ndarray, valid: np.ndarray, prefix: str) -> Record:
    """Return the moments of the valid pixels of an image block.

    Parameters
    ----------
    values : (y, x) number
    valid : (y, x) bool
    prefix : str
        Put before each name: ``b02``.
    """
    chosen = values[valid].astype(np.float64)
    record: Record = {
        f"{prefix}.pixels": float(values.size),
        f"{prefix}.valid": float(chosen.size),
        f"{prefix}.sum": float(chosen.sum()),
        f"{prefix}.square_sum": float(np.square(chosen).sum()),
    }
    if chosen.size:
        record[f"{prefix}.value_min"] = float(chosen.min())
        record[f"{prefix}.value_max"] = float(chosen.max())
    return record


def combine(records: Iterable[Mapping[str, float]]) -> Record:
    """Return the record of the union of the blocks; the order of the blocks does not matter."""
    gathered: dict[str, list[float]] = {}
    for record in records:
        for name, value in record.items():
            gathered.setdefault(name, []).append(value)
    out: Record = {}
    for name in sorted(gathered):
        values = sorted(gathered[name])
        if len(values) == 1 or name.endswith("_min"):
            out[name] = float(values[0])
        elif name.endswith("_max"):
            out[name] = values[-1]
        else:
            out[name] = float(np.sum(np.asarray(values)))
    return out


def finalise(record: Mapping[str, float]) -> Record:
    """Return mean, standard deviation (of those with squares) and valid share [%] of every image of a record."""
    out: Record = {}
    for name in record:
        if not name.endswith(".valid"):
            continue
        prefix, n = name.removesuffix(".valid"), record[name]
        out[f"{prefix}.valid_percentage"] = 100.0 * n / max(record[f"{prefix}.pixels"], 1.0)
        if n:
            mean = record[f"{prefix}.sum"] / n
            out[f"{prefix}.mean"] = mean
            if f"{prefix}.square_sum" in record:
                out[f"{prefix}.standard_deviation"] = max(record[f"{prefix}.square_sum"] / n - mean * mean, 0.0) ** 0.5
    return out
