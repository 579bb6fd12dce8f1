"""The variable registry: every variable of every level, once.

Templates, validation, documentation and test fixtures are made from these functions; nothing else in the house
states a variable's dims, type or attributes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class VariableSpec:
    """What one variable of a store must be.

    Attributes
    ----------
    dims, shape, chunks : tuple
        Names and sizes; a chunk is what one block task writes, or a divisor of it.
    dtype : str
        NumPy type code with byte order of the store (``uint16``).
    attrs : mapping
        CF attributes: long_name, units, scale_factor, add_offset, flag_values …
    fill_value : int, float or str
        Value of what was never written.
    shards : tuple, optional
        What one object of the store holds, a multiple of `chunks`; none: each chunk is an object.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    attrs: Mapping[str, Any] = field(default_factory=dict)
    fill_value: float | str = 0
    shards: tuple[int, ...] | None = None


Schema = dict[str, VariableSpec]
"""Variables of a store by path: ``measurements/d05/b04/img``."""


def spec(
    dims: str,
    shape: tuple[int, ...],
    dtype: str,
    long_name: str,
    units: str = "1",
    chunks: tuple[int, ...] | None = None,
    fill_value: float = 0,
    **attrs: Any,
) -> VariableSpec:
    """Return a spec; `dims` is a blank-separated list, `chunks` defaults to one chunk."""
    whole = tuple(max(1, n) for n in shape)
    merged = {"long_name": long_name, "units": units, **attrs}
    return VariableSpec(tuple(dims.split()), shape, chunks or whole, dtype, merged, fill_value)
