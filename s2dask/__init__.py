"""s2dask: Sentinel-2 from telemetry frames to surface reflectance, on Dask."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# name -> module that defines it; resolved on first use so that `import s2dask` stays cheap
_PUBLIC = {
    "Campaign": "s2dask.production.campaign",
    "MapGrid": "s2dask.io.grids",
    "Resampling": "s2dask.production.resampling",
    "open_datastrip": "s2dask.production.scene",
    "open_product": "s2dask.io.opener",
    "run": "s2dask.production.chain",
}
__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604  (the names are served by __getattr__)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 's2dask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
