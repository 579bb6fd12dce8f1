"""Some of the workers of a cluster, for work that must leave the others free."""

import time
from typing import Any, Final, cast

from distributed import Client

from s2dask.errors import ConfigurationError

_LOOKS: Final = 50


class _Some:
    """A client whose graphs go to some of the workers."""

    def __init__(self, client: Client, cores: int) -> None:
        self._client, self._cores = client, cores

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def compute(self, *args: Any, **kwargs: Any) -> Any:
        """Hand over tasks, see `Client.compute`; a worker that has died since is replaced by another."""
        return self._client.compute(*args, **{**kwargs, "workers": self._addresses()})

    def _addresses(self) -> list[str]:
        """Return as many workers as the cores make, the same ones as long as they live."""
        found: list[str] = []
        left = self._cores
        for address, facts in sorted(workers_of(self._client).items(), key=lambda w: str(w[1].get("name", w[0]))):
            if left <= 0:
                break
            found.append(address)
            left -= int(facts["nthreads"])
        if not found:  # an empty list would be taken for all of them
            raise TimeoutError("no worker is there to hand tasks to")
        return found


def workers_of(client: Client) -> dict[str, Any]:
    """Return what is known of every worker, by its address; a cluster that tells of none is asked again for a while."""
    for _ in range(_LOOKS):
        if found := dict(client.scheduler_info(n_workers=-1)["workers"]):
            return found
        time.sleep(0.1)
    return {}


def cores_of(client: Client) -> int:
    """Return the threads of all workers, one at least."""
    return max(sum(int(facts["nthreads"]) for facts in workers_of(client).values()), 1)


def some_workers(client: Client, cores: int | None) -> Client:
    """Return a client that hands its graphs to workers with so many threads together; None: to all.

    Parameters
    ----------
    client : Client
    cores : int or None
        A worker with more threads than are left counts as one that fits.
    """
    if cores is None:
        return client
    if cores < 1:
        raise ConfigurationError(f"{cores} cores", "max_cores", "one at least")
    return cast("Client", _Some(client, cores))
