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
# # A campaign: planned, killed, resumed, accounted
#
# An archive of two small simulated sessions, of Sentinel-2A and 2B, is processed to Level-1C. First it is planned: what
# will be made, what it costs, what is missing. Then it is submitted by another process, which is killed in the midst of
# it, workers and all. What it has finished stands; the rest is done here. In the end the ledger tells what was expected
# and what came of it.

# %%
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

from s2dask import Campaign, open_product
from s2dask.cluster.local import local_client
from s2dask.production.ledger import DONE
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

archive = Path("archive").absolute()
for unit, seed in (("S2A", 3), ("S2B", 4)):
    simulate(
        str(archive / f"2020/{unit}/pass_of_{unit}"),
        SimulationOptions((6,), ("B01", "B02", "B03", "B04", "B11"), 1, unit, seed, 1200, codec="raw12"),
    )
x0, y0, *_ = Truth(f"{archive}/2020/S2A/pass_of_S2A/truth.zarr").window

# %% [markdown]
# ## The plan
#
# Nothing is decoded for it: orbit and attitude are read from the ends of the files, tiles follow from them.

# %%
asked = {"source": str(archive), "deliver": "products", "tiles": ["28SCB"], "levels": ["L1C"]}
campaign = Campaign("collection", **asked, window=(x0, y0, 1200, 1200))
plan = campaign.plan()
display(plan)

# %% [markdown]
# ## Submitted, and killed
#
# The same campaign from the command line of another process. It is killed as soon as the first product is there.

# %%
command = [
    sys.executable, "-c", "from s2dask.commands.campaign import app; app()", "submit", "collection", str(archive),
    "--out", "products", "--tile", "28SCB", "--to", "L1C", "--set", f"window=[{x0},{y0},1200,1200]", "--workers", "1",
    "--lease", "5",
]  # fmt: skip
with Path("submit.log").open("w") as log:
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own
    while process.poll() is None and not list(Path("products").glob("S2*")):
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
print(Path("submit.log").read_text()[:300])

# %%
campaign = Campaign.open("collection", campaign.url)
finished = {
    (run, row["name"]): row["attempts"] for run in campaign.runs() for row in campaign.book.units(run, states=[DONE])
}
display(campaign.progress())

# %% [markdown]
# ## Resumed
#
# A unit that was under way when the process died is given out again when its lease has run out, here after 5 s.

# %%
with local_client(1, dashboard=False) as client:
    progress = campaign.resume(client, lease=5.0).wait()
display(progress)

# %%
again = [
    (run, row["name"])
    for run in campaign.runs()
    for row in campaign.book.units(run)
    if row["attempts"] > finished.get((run, row["name"]), row["attempts"])
]
print(f"{len(finished)} units were finished before, {len(again)} of them were made again")
if again or not finished:
    raise RuntimeError("the kill came too early, or cost finished work")

# %% [markdown]
# ## The ledger

# %%
ledger = campaign.ledger()
display(ledger)

# %%
products = [entry for entry in ledger.entries if entry.product.endswith(".zarr")]
figure, axes = plt.subplots(1, len(products), figsize=(9, 4.2))
for axis, entry in zip(np.atleast_1d(axes), products, strict=True):
    red, green, blue = (
        open_product(entry.url)[f"measurements/reflectance/r10m/{name}"].values for name in ("b04", "b03", "b02")
    )
    axis.imshow(np.clip(np.dstack([red, green, blue]) * 3.0, 0, 1))
    axis.set_title(f"{entry.product[:26]}\n{entry.sha256[:16]}", fontsize=9)
    axis.set_axis_off()
plt.show()
