"""What can become of an S3 store while a production delivers to it; each fault is over when its function returns."""

import random
import time
from collections.abc import Callable

from ceph_server import Ceph

from s2dask.io.storage import exists, filesystem
from s2dask.release.publish_objects import STAGING

STORE_FAULTS = ("store dead", "store frozen", "store overloaded", "store refuses", "store dead at delivery")
_WATCH = 15.0
"""How long a delivery is waited for [s]."""


def _for(random_: random.Random) -> float:
    return random_.uniform(0.3, 3.0)


def store_faults(ceph: Ceph, out: str) -> dict[str, Callable[[random.Random], None]]:
    """Return what can happen by name.

    Parameters
    ----------
    ceph : Ceph
    out : str
        Where deliveries go: ``s3://bucket/out``.
    """

    def dead(chance: random.Random) -> None:
        with ceph.away():
            time.sleep(_for(chance))

    def frozen(chance: random.Random) -> None:
        ceph.freeze()
        try:
            time.sleep(_for(chance))
        finally:
            ceph.thaw()

    def overloaded(chance: random.Random) -> None:
        with ceph.overloaded():
            time.sleep(_for(chance))

    def refuses(chance: random.Random) -> None:
        with ceph.refusing():
            time.sleep(_for(chance))

    def at_delivery(chance: random.Random) -> None:
        """Die while objects are laid down, or between the last of them and the manifest."""
        until, (fs, path) = time.monotonic() + _WATCH, filesystem(f"{out}/{STAGING}")
        while time.monotonic() < until and not [name for name in fs.find(path) if name.endswith(".json")]:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 0.5))
        dead(chance)

    return dict(zip(STORE_FAULTS, (dead, frozen, overloaded, refuses, at_delivery), strict=True))


def make_bucket(url: str) -> None:
    """Make the bucket of a URL unless it is there."""
    bucket = url.removeprefix("s3://").split("/")[0]
    if not exists(f"s3://{bucket}"):
        filesystem(url)[0].call_s3("create_bucket", Bucket=bucket)
