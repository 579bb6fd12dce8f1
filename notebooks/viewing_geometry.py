# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   s2dask:
#     needs: geometry/l1b
# ---

# %% [markdown]
# # Where does each detector look, and when?
#
# A geometry expert opens a real datastrip: S2A over Madeira, 16 August 2020. Nothing but its metadata, the viewing
# directions and a terrain is needed: no images.
#
# The folder of reference data is taken from `S2DASK_REFERENCE_DATA`.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from s2dask.auxdata import Terrain
from s2dask.geometry import ViewingModel
from s2dask.geometry.angles import view_angles

data = Path(os.environ["S2DASK_REFERENCE_DATA"]) / "geometry"
terrain = Terrain.open(data / "dem", geoid=next(data.glob("geoid/*.gtx")), missing="sea")
model = ViewingModel.from_datastrip(data / "l1b", gipp=data / "gipp", iers=next(data.glob("iers/*.txt")))

# %% [markdown]
# ## Twelve detectors on two staggered rows
#
# The first and the last line of six scenes, seen by B02 and by B12. Odd detectors look ahead, even ones behind: they
# see the same ground at other times.

# %%
LINES = {"B02": 6 * 2304, "B12": 6 * 1152}
COLUMNS = {"B02": 2552, "B12": 1276}


def outline(band: str, detector: int) -> np.ndarray:
    """Return the corners and edges of an image on the ground, (point, 2) degrees."""
    lines, columns = LINES[band] - 1, COLUMNS[band] - 1
    side = np.linspace(0, 1, 9)
    line = lines * np.concatenate([0 * side, side, 0 * side + 1, side[::-1]])
    column = columns * np.concatenate([side, 0 * side + 1, side[::-1], 0 * side])
    lon, lat, _ = model.direct(band, detector, line, column, terrain)
    return np.stack([lon, lat], -1)


figure, axes = plt.subplots(1, 2, figsize=(11, 5), sharey=True)
for ax, band in zip(axes, LINES, strict=True):
    for detector in range(1, 13):
        ring = outline(band, detector)
        ax.fill(*ring.T, alpha=0.35, color="tab:blue" if detector % 2 else "tab:orange")
        ax.annotate(f"D{detector:02d}", ring.mean(0), ha="center", fontsize=8)
    ax.set(title=band, xlabel="longitude [°]", aspect=1 / np.cos(np.radians(32.5)))
axes[0].set_ylabel("latitude [°]")
plt.show()

# %% [markdown]
# ## Overlaps: the same ground, seconds apart
#
# A point in the overlap of two detectors is seen by both. How wide is that overlap, and how far apart in time?

# %%
rows = []
for band in ("B02", "B04", "B08", "B11", "B12", "B09"):
    pixel = {"B02": 10, "B04": 10, "B08": 10, "B11": 20, "B12": 20, "B09": 60}[band]
    columns = {10: 2552, 20: 1276, 60: 425}[pixel]
    line = 3 * 2304 * 10 / pixel
    column = np.arange(columns, dtype=float)
    ground = model.direct(band, 6, np.full(columns, line), column, terrain)
    found_line, found = model.inverse(band, 7, *ground, margin=0.0)
    both = np.isfinite(found)
    here = model.date(band, 6, np.full(both.sum(), line))
    there = model.date(band, 7, found_line[both])
    rows.append((band, int(both.sum()), float(np.abs(there - here).mean()) * 1e-9))
print(f"{'band':<6}{'overlap D06/D07 [px]':>22}{'apart [s]':>12}")
for band, width, seconds in rows:
    print(f"{band:<6}{width:>22}{seconds:>12.2f}")

# %% [markdown]
# ## Viewing angles across the swath

# %%
figure, ax = plt.subplots(figsize=(11, 4))
for band, colour in (("B02", "tab:blue"), ("B12", "tab:red")):
    for detector in range(1, 13):
        columns = np.linspace(0, COLUMNS[band] - 1, 40)
        line = np.full(40, LINES[band] / 2)
        lon, lat, height = model.direct(band, detector, line, columns, terrain)
        zenith, _ = view_angles(model, band, detector, line, lon, lat, height)
        ax.plot(lon, zenith, color=colour, label=band if detector == 1 else None)
ax.set(xlabel="longitude [°]", ylabel="viewing zenith angle [°]")
ax.legend()
plt.show()
