"""The way to a cluster: of this machine, at an address, on Kubernetes; and back to it when it has died."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import dask
from distributed import Client, Security

from s2dask.cluster.kubernetes import Pod, cluster_resource
from s2dask.cluster.local import WORKER_MEMORY, local_client
from s2dask.cluster.plugins import QuietRefusals
from s2dask.cluster.settings import ADAPTIVE, SAFE
from s2dask.cluster.verification import Verification
from s2dask.cluster.warm_up import Call, WarmUp
from s2dask.cluster.watch import Limits, watch
from s2dask.errors import ConfigurationError, InputMissing, WorkerLost

_ANSWER: Final = 10.0
"""Time that a living scheduler takes to answer at the most [s]."""
_PAUSE: Final = 2.0
"""Between two tries to reach a cluster [s]."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files of mutual TLS: whoever reaches the port of a scheduler may run anything on its workers.

    Attributes
    ----------
    ca, certificate, key : Path
        PEM files.
    """

    ca: Path
    certificate: Path
    key: Path

    def security(self) -> Security:
        """Return them as Dask takes them; a file that is not there is named."""
        for path in (self.ca, self.certificate, self.key):
            if not path.is_file():
                raise InputMissing("no such file", str(path), "name the PEM files of the cluster's TLS")
        return Security(
            tls_ca_file=str(self.ca), tls_client_cert=str(self.certificate), tls_client_key=str(self.key),
            require_encryption=True,
        )  # fmt: skip


def _at_address(where: str, credentials: Credentials | None) -> Client:
    if where.startswith("tls://") and credentials is None:
        raise ConfigurationError("a tls:// scheduler asks for certificates", where, "give ca, certificate and key")
    try:
        return Client(where, security=credentials.security() if credentials else None, timeout=_ANSWER)
    except OSError as error:
        raise InputMissing(f"no scheduler answers: {error}", where, "start it, or look at its address") from error


def _on_kubernetes(pod: Pod) -> Any:
    try:
        from dask_kubernetes.operator import KubeCluster
    except ImportError:
        raise ConfigurationError("no dask-kubernetes", "--cluster", 'pip install "s2dask[k8s]"') from None
    return KubeCluster(custom_cluster_spec=cluster_resource(pod), namespace=pod.namespace)


@contextmanager
def open_client(
    where: str | Pod = "local",
    *,
    workers: int | None = None,
    memory: str = WORKER_MEMORY,
    dashboard: bool = True,
    credentials: Credentials | None = None,
    adapt: tuple[int, int] | None = None,
    warm: Sequence[Call] = (),
    limits: Limits | None = None,
) -> Iterator[Client]:
    """Yield a client of a cluster whose workers are verified (unless they are local), warmed and watched.

    Parameters
    ----------
    where : str or Pod
        ``"local"``: worker processes here, until the end; ``tcp://host:8786`` or ``tls://host:8786``: a scheduler that
        is there, and stays; a `Pod`: a cluster on Kubernetes, made for this client.
    workers : int, optional
        Of a local cluster; default: one per core.
    memory : str
        Of each local worker.
    dashboard : bool
        Of a local cluster.
    credentials : Credentials, optional
        For ``tls://``.
    adapt : (int, int), optional
        Least and largest number of workers of a cluster on Kubernetes that grows and shrinks with its work.
    warm : sequence of callable
        Tiny calls of the kernels to come: see `s2dask.production.warm_up`.
    limits : Limits, optional
        How long tasks may run; default: four hours.
    """
    with ExitStack() as stack:
        if where == "local":
            client = stack.enter_context(local_client(workers, memory, dashboard))
        else:
            stack.enter_context(dask.config.set(SAFE))
            if isinstance(where, Pod):
                cluster = stack.enter_context(_on_kubernetes(where))
                if adapt is not None:
                    cluster.adapt(minimum=adapt[0], maximum=adapt[1])  # by the operator, whose pace is its own
                client = stack.enter_context(Client(cluster))
            elif where.startswith(("tcp://", "tls://")):
                client = stack.enter_context(_at_address(where, credentials))
            else:
                raise ConfigurationError(
                    f"no cluster is called {where!r}", "--cluster", "local, tcp://host:port or tls://host:port"
                )
            client.register_plugin(QuietRefusals())
            client.register_plugin(Verification())  # workers of this machine are of this installation
        if where == "local" and adapt is not None and client.cluster is not None:
            client.cluster.adapt(minimum=adapt[0], maximum=adapt[1], **ADAPTIVE)
        watch(client, limits)
        if warm:
            client.register_plugin(WarmUp(warm))
        yield client


@dataclass
class Connection:
    """A client that is replaced when its cluster has died: Dask forgets what it did, the ledger does not.

    Attributes
    ----------
    way : callable
        Opens a client: ``lambda: open_client("tcp://…")``.
    client : Client
        At the moment.
    """

    way: Callable[[], AbstractContextManager[Client]]
    client: Client = field(init=False)
    _scheduler: str = field(init=False, repr=False)
    _stack: ExitStack = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._enter()

    def _enter(self) -> None:
        with ExitStack() as stack:
            self.client = stack.enter_context(self.way())
            self._scheduler = str(self.client.scheduler_info()["id"])
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster; one that is dead is left in silence."""
        with suppress(Exception):
            self._stack.close()

    def alive(self) -> bool:
        """Return whether the scheduler answers, and is the same: another at its address knows of nothing."""
        scheduler: Any = self.client.scheduler
        if self.client.status != "running" or scheduler is None:
            return False
        try:
            found = self.client.sync(scheduler.identity, callback_timeout=_ANSWER)
        except (OSError, RuntimeError):
            return False
        return bool(self.client.status == "running" and found["id"] == self._scheduler)

    def reopen(self, patience: float = 600.0) -> Client:
        """Return a client of a living cluster: the same if it lives, or a new one, for which is waited.

        Parameters
        ----------
        patience : float
            Longest time to wait for a scheduler [s].
        """
        if self.alive():
            return self.client
        _log.warning("the scheduler of %s is gone", self.client)
        self.close()
        until = time.monotonic() + patience
        while True:
            try:
                self._enter()
            except (InputMissing, OSError, TimeoutError) as error:
                if time.monotonic() > until:
                    remedy = "start a scheduler; what is finished is in the ledger"
                    raise WorkerLost(f"no scheduler for {patience:.0f} s: {error}", "cluster", remedy) from error
                time.sleep(_PAUSE)
            else:
                return self.client
