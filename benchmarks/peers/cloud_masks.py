"""s2cloudless and ukis-csmask on one image, each timed, under an interpreter of their own: s2dask needs neither.

    $S2DASK_PEER_PYTHON benchmarks/peers/cloud_masks.py IMAGE.npz ANSWER.npz

The image has ``reflectance`` (y, x, 13) and ``bands``; the answer gets a probability of cloud (y, x) for each peer that
is installed. Standard output is a line of JSON: by peer ``seconds`` of CPU time, or ``missing`` with the reason.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

SIX = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Bands of ukis-csmask, in its order."""


def cloudless(reflectance: np.ndarray) -> Callable[[], np.ndarray]:
    """Return the work of s2cloudless without its smoothing."""
    from s2cloudless import S2PixelCloudDetector

    detector = S2PixelCloudDetector(threshold=0.4, all_bands=True, average_over=0, dilation_size=0)
    return lambda: detector.get_cloud_probability_maps(reflectance[None])[0]


def csmask(reflectance: np.ndarray, bands: list[str]) -> Callable[[], np.ndarray]:
    """Return the work of ukis-csmask; its model is loaded within it."""
    from ukis_csmask.mask import CSmask

    image = np.ascontiguousarray(reflectance[..., [bands.index(name) for name in SIX]])
    order = ["blue", "green", "red", "nir", "swir16", "swir22"]
    return lambda: CSmask(image, order, "l1c", intra_op_num_threads=1, inter_op_num_threads=1).csm == 1


def main(image: str, answer: str) -> None:
    """Measure what is installed."""
    warnings.simplefilter("ignore")
    content = np.load(image)
    reflectance, bands = np.asarray(content["reflectance"], np.float32), [str(name) for name in content["bands"]]
    facts: dict[str, dict[str, float | str]] = {}
    found = {}
    peers = {"s2cloudless": lambda: cloudless(reflectance), "ukis-csmask": lambda: csmask(reflectance, bands)}
    for name, prepare in peers.items():
        try:
            work = prepare()
        except ImportError as error:
            facts[name] = {"missing": str(error)}
            continue
        start = time.process_time()
        found[name] = np.asarray(work(), np.float32).reshape(reflectance.shape[:2])
        facts[name] = {"seconds": time.process_time() - start}
    np.savez(answer, **found)
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
