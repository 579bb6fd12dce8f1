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
# ---

# %% [markdown]
# # From counts to radiance, and what another GIPP would change
#
# A calibration engineer looks inside the radiometric chain of one detector: every step of it is an array that is
# computed where it is looked at. Then a coefficient of the equalisation is moved, and the same chain says how far
# the product moves.
#
# The session is simulated here: one detector over an island, with dark signal, uneven response, crosstalk, noise and
# dead pixels.

# %%
import re
from collections.abc import Callable
from pathlib import Path

import dask
import matplotlib.pyplot as plt
import numpy as np

import s2dask
from s2dask.cluster.local import local_client
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

session = Path(simulate("session", SimulationOptions(detectors=(6,), bands=("B04", "B10", "B11", "B12"), window=6000,
                                                     dead_pixels=3, codec="raw12")))  # fmt: skip
with local_client(1, dashboard=False) as client:
    made = s2dask.run(str(session), client=client, to="L0", out="products")
scene = s2dask.open_datastrip(made.products[0], aux=str(session / "aux"))
dask.config.set(scheduler="synchronous")
scene.l1b("B11", detector=6)

# %% [markdown]
# ## Step by step
#
# The island in B11 as the converter gave it, and after each step, each in its own grey scale. The stripes of the raw
# image are the dark signal and the response of each pixel, the white line is a dead one; what stays is the ground.

# %%
steps = (None, "dark_signal", "crosstalk", "relative_response", "defective_pixels")
figure, axes = plt.subplots(1, len(steps), figsize=(13, 5), sharey=True)
for ax, until in zip(axes, steps, strict=True):
    blind = 10 if until in (None, "dark_signal") else 0
    image = scene.l1a("B11", detector=6) if until is None else scene.l1b("B11", detector=6, until=until)
    island = image[430:640, 570 + blind : 720 + blind].values.astype(float)
    low, high = np.nanpercentile(island, (2, 90))
    ax.imshow(island, cmap="gray", vmin=low, vmax=high)
    ax.set(title=until or "L1A", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## What the equalisation is worth
#
# The difference of neighbouring columns, its median over the lines of the island, is the fixed pattern of the response.

# %%
LAND = {"B04": (slice(900, 1240), slice(1160, 1420)), "B11": (slice(450, 620), slice(580, 710))}
LAND["B12"] = LAND["B11"]
print(f"{'band':<6}{'before [%]':>12}{'after [%]':>12}")
for name, window in LAND.items():
    pattern = []
    for until in ("crosstalk", "defective_pixels"):
        island = scene.l1b(name, detector=6, until=until).values[window]
        steps_between = np.nanmedian(np.diff(np.log(np.maximum(island, 1)), axis=1), axis=0)
        pattern.append(100 * 1.4826 * np.median(np.abs(steps_between - np.median(steps_between))))
    print(f"{name:<6}{pattern[0]:>12.3f}{pattern[1]:>12.3f}")

# %% [markdown]
# ## What if?
#
# One per cent more response in a hundred columns of B04: the scene with another file is as lazy as the first, and
# `diff` says how far the counts lie apart.

# %%
folder = session / "aux" / "gipp"


def edited(kind: str, band: str, change: Callable[[str], str]) -> Path:
    """Write a GIPP of the session with something changed."""
    source = next(folder.glob(f"*GIP_{kind}_*_{band}.DBL"))
    target = Path("edited") / source.name
    target.parent.mkdir(exist_ok=True)
    target.write_text(change(source.read_text("utf-8")), "utf-8")
    return target


def raise_response(text: str) -> str:
    """Add a per cent to the linear coefficient of the raw columns 1240 to 1339."""

    def change(found: re.Match[str]) -> str:
        values = np.array(found[1].split(), float)
        values[1240:1340] *= 1.01
        return f"<COEFF_C>{' '.join(map(repr, values.tolist()))}</COEFF_C>"

    return re.sub(r"<COEFF_C>([^<]*)</COEFF_C>", change, text)


other = scene.with_gipp(R2EQOG={"B04": edited("R2EQOG", "B04", raise_response)})
table = other.diff("L1B", bands=("B04", "B11"))
print(table[["mean", "changed"]].to_dataframe().round(3))
print(table.delta.to_pandas())

# %%
before, after = (s.l1b("B04", detector=6)[:, 1100:1450].astype(float) for s in (scene, other))
change = (after - before).values
figure, ax = plt.subplots(figsize=(11, 3))
shown = ax.imshow(change[::8], cmap="RdBu_r", vmin=-30, vmax=30, aspect="auto", extent=(1100, 1450, change.shape[0], 0))
figure.colorbar(shown, label="L1B difference [DN]")
ax.set(xlabel="column", ylabel="line")
plt.show()
