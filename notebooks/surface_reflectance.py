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
#     needs: l2a/pixels/safe_decimated
# ---

# %% [markdown]
# # A real L1C product on its way to the surface
#
# A Sentinel-2A tile of New South Wales (55JEJ, 7 December 2017) is opened as it was downloaded, its atmosphere is
# settled, and surface reflectance, classes, aerosol and water vapour are made from it. Then one pixel is explained:
# what of its light never touched the ground, what gases took, and what is left for the soil. The images of this copy of
# the product are thinned out by 64, its metadata are whole.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from s2dask.instrument import BANDS
from s2dask.io.opener import open_tree
from s2dask.io.tiles import open_tile
from s2dask.l2a.atmosphere import gas_transmittance, pressure_at
from s2dask.l2a.lut import transfer
from s2dask.production.surface import make_surface

data = Path(os.environ["S2DASK_REFERENCE_DATA"]) / "l2a/pixels/safe_decimated"
source = str(min(data.glob("*.zip")))
result = make_surface(source, "surface.zarr")
record = result["record"]
result["flags"], {key: round(record[key], 3) for key in ("aot_mean", "aot_uncertainty", "water_vapour_mean")}

# %% [markdown]
# ## What it looks like
#
# True colour above and below the atmosphere in the same scale, and the classes. The haze of the blue sky is gone below.

# %%
tile, tree = open_tile(source), open_tree("surface.zarr")
rows, columns = tile.grid.shape(10)
colours = ("B04", "B03", "B02")
above = np.stack([tile.reflectance(name, slice(0, rows), slice(0, columns)) for name in colours], -1)
below = np.stack([tree[f"measurements/reflectance/r10m/{name.lower()}"].values for name in colours], -1)
scl = tree["conditions/mask/l2a_classification/r20m/scl"].values
names = (
    "no data", "saturated", "shade", "cloud shadow", "vegetation", "bare", "water", "unclassified", "cloud, medium",
    "cloud, high", "cirrus", "snow",
)  # fmt: skip
palette = ListedColormap(
    ["black", "red", "#404040", "#704a28", "#3f9b3f", "#d9c36a", "#2b5fd9", "#808080", "#c0c0c0", "white", "#6ecbe8",
     "#ff96ff"]
)  # fmt: skip
figure, axes = plt.subplots(1, 3, figsize=(14, 5))
for ax, image, title in zip(axes, (above, below), ("top of atmosphere", "surface"), strict=False):
    ax.imshow(np.clip(image / 0.3, 0, 1))
    ax.set(title=title, xticks=[], yticks=[])
shown = axes[2].imshow(scl, cmap=palette, vmin=-0.5, vmax=11.5, interpolation="nearest")
axes[2].set(title="scene classification", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes[2], ticks=range(12), fraction=0.046).ax.set_yticklabels(names)
plt.show()

# %% [markdown]
# ## Aerosol and water vapour
#
# The aerosol is known every 3 km where there is dark vegetation and by the forecast elsewhere; the attributes say who
# told it. Water vapour is measured at every 60 m pixel, in B09 against B8A.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5))
for ax, key, unit in zip(axes, ("aot", "wvp"), ("1", "cm"), strict=True):
    field = tree[f"quality/atmosphere/r60m/{key}"]
    shown = ax.imshow(field.values)
    ax.set(title=f"{field.attrs.get('long_name', key)} [{unit}]", xticks=[], yticks=[])
    figure.colorbar(shown, ax=ax)
plt.show()
print("aerosol told by", dict(tree.attrs["s2dask"])["aot_retrieval_method"])
record["aot_mean"], record["aot_uncertainty"], record["water_vapour_mean"], record["water_vapour_uncertainty"]

# %% [markdown]
# ## How well it is known
#
# The standard uncertainty of B04, what is noise and what is common to the neighbourhood: calibration, aerosol, water
# vapour, ozone, pressure, gases, tables and the model of the aerosol.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5))
for ax, part in zip(axes, ("random", "systematic"), strict=True):
    field = tree[f"quality/uncertainty/r10m/b04_{part}"]
    shown = ax.imshow(field.values)
    ax.set(title=f"{part} uncertainty of B04 [1]", xticks=[], yticks=[])
    figure.colorbar(shown, ax=ax)
plt.show()

# %% [markdown]
# ## One pixel explained
#
# The pixel in the middle, in three bands: the light that came, what the air alone would show, how much of the rest
# gases and scattering let through, and the reflectance of the ground that follows if all around is like it.

# %%
row = column = tile.grid.shape(60)[0] // 2
sun, unit = tile.sun_angles()[:, 11, 11], str(tile.attrs["unit"])
aot = float(tree["quality/atmosphere/r60m/aot"].values[row, column])
vapour = float(tree["quality/atmosphere/r60m/wvp"].values[row, column])
pressure = float(pressure_at(0.0, 1013.0))
for name in ("B02", "B04", "B8A"):
    size, view = BANDS[name].resolution, np.nanmean(tile.view_angles(name)[:, :, 11, 11], axis=0)
    factor = tile.grid.shape(size)[0] // tile.grid.shape(60)[0]
    window = slice(row * factor, (row + 1) * factor)
    toa = float(np.mean(tile.reflectance(name, window, window)))
    air = transfer(unit, name, sun[0], view[0], sun[1] - view[1], aot, pressure)
    mass = 1 / np.cos(np.radians(sun[0])) + 1 / np.cos(np.radians(view[0]))
    gas = float(gas_transmittance(unit, name, mass, pressure, vapour, 300.0))
    level = toa / gas - float(air.path)
    rho = level / (float(air.down * air.up) + float(air.spherical_albedo) * level)
    light, path = float(air.down * air.up), float(air.path)
    print(f"{name}: above {toa:.3f} = gas {gas:.3f} x (air {path:.3f} + light {light:.3f} x ground), ground {rho:.3f}")
