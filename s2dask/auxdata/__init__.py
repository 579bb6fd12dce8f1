"""What comes from outside: GIPPs, metadata, terrain, Earth orientation, weather."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2dask.auxdata.terrain import Terrain

__all__ = ["Terrain"]


def __getattr__(name: str) -> Any:
    if name == "Terrain":  # on demand: the simulator shares the formats, but must not load this terrain
        from s2dask.auxdata.terrain import Terrain

        return Terrain
    raise AttributeError(f"module 's2dask.auxdata' has no attribute {name!r}")
