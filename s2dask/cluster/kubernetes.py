"""A Dask cluster on Kubernetes, as the operator of dask-kubernetes takes it."""

from dataclasses import dataclass
from typing import Any, Final

from s2dask.cluster.environment import THREADS
from s2dask.errors import ConfigurationError

API: Final = "kubernetes.dask.org/v1"
_SETTINGS: Final = {
    "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "10 minutes",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3",
    "DASK_DISTRIBUTED__COMM__RETRY__COUNT": "3",
    # with these routes the operator retires the workers that hold nothing; without them it takes the youngest
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": (
        '["distributed.http.scheduler.prometheus", "distributed.http.scheduler.info", '
        '"distributed.http.scheduler.json", "distributed.http.health", "distributed.http.proxy", '
        '"distributed.http.scheduler.api"]'
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What a Kubernetes cluster is made of.

    Attributes
    ----------
    image : str
        With s2dask, of the release of the client.
    name, namespace : str
    workers : int
    cores : int
        Of a worker pod: so many single-threaded worker processes.
    memory : int
        Of one worker process [GiB].
    cache : str or None
        Claim of a volume for compiled kernels, shared by the pods; None: each pod compiles for itself.
    certificates : str or None
        Secret with ``ca.crt``, ``tls.crt`` and ``tls.key``: every connection is encrypted and authenticated.
    """

    image: str
    name: str = "s2dask"
    namespace: str = "default"
    workers: int = 2
    cores: int = 1
    memory: int = 4
    cache: str | None = None
    certificates: str | None = None

    def __post_init__(self) -> None:
        if not self.image:
            raise ConfigurationError("no image", "Kubernetes", "name one with s2dask in it")
        if min(self.workers, self.cores, self.memory) < 1:
            raise ConfigurationError("workers, cores and memory are at least 1", self.name)


def _environment(pod: Pod) -> list[dict[str, str]]:
    values = {**THREADS, **_SETTINGS}
    if pod.cache is not None:
        values["NUMBA_CACHE_DIR"] = "/var/cache/s2dask"
    if pod.certificates is not None:
        role = {"CA_FILE": "ca.crt", **{f"{who}__CERT": "tls.crt" for who in ("SCHEDULER", "WORKER", "CLIENT")}}
        role |= {f"{who}__KEY": "tls.key" for who in ("SCHEDULER", "WORKER", "CLIENT")}
        values |= {f"DASK_DISTRIBUTED__COMM__TLS__{key}": f"/etc/s2dask/tls/{file}" for key, file in role.items()}
        values["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] = "true"
    return [{"name": name, "value": value} for name, value in values.items()]


def _mounts(pod: Pod) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of a pod and where its container has them."""
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    if pod.cache is not None:
        volumes.append({"name": "cache", "persistentVolumeClaim": {"claimName": pod.cache}})
        mounts.append({"name": "cache", "mountPath": "/var/cache/s2dask"})
    if pod.certificates is not None:
        volumes.append({"name": "tls", "secret": {"secretName": pod.certificates}})
        mounts.append({"name": "tls", "mountPath": "/etc/s2dask/tls", "readOnly": True})
    return volumes, mounts


def _pod_spec(pod: Pod, role: str, args: list[str], memory: int, cores: int, **more: Any) -> dict[str, Any]:
    volumes, mounts = _mounts(pod)
    need = {"cpu": str(cores), "memory": f"{memory}Gi"}
    container = {
        "name": role, "image": pod.image, "args": args, "env": _environment(pod), "volumeMounts": mounts,
        "resources": {"requests": need, "limits": {"memory": f"{memory}Gi"}}, **more,
    }  # fmt: skip
    return {"containers": [container], "volumes": volumes}


def cluster_resource(pod: Pod) -> dict[str, Any]:
    """Return the DaskCluster resource.

    Notes
    -----
    A container's memory limit is what its worker processes may have together and half a GiB for their nannies, which
    act before the kernel of the machine does.
    """
    scheme = "tcp" if pod.certificates is None else "tls"
    ports = [("tcp-comm", 8786), ("http-dashboard", 8787)]
    probes = {
        f"{kind}Probe": {"httpGet": {"path": "/health", "port": "http-dashboard"}, "initialDelaySeconds": 5}
        for kind in ("readiness", "liveness")
    }
    scheduler = _pod_spec(
        pod, "scheduler", ["dask-scheduler", "--host", f"{scheme}://0.0.0.0"], 4, 1,
        ports=[{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports], **probes,
    )  # fmt: skip
    args = [
        "dask-worker", "--name", "$(DASK_WORKER_NAME)", "--nworkers", str(pod.cores), "--nthreads", "1",
        "--memory-limit", f"{pod.memory}GiB", "--death-timeout", "120",
    ]  # fmt: skip
    worker = _pod_spec(pod, "worker", args, pod.memory * pod.cores + 1, pod.cores)
    service = {
        "type": "ClusterIP",
        "selector": {"dask.org/cluster-name": pod.name, "dask.org/component": "scheduler"},
        "ports": [{"name": name, "protocol": "TCP", "port": port, "targetPort": name} for name, port in ports],
    }
    return {
        "apiVersion": API,
        "kind": "DaskCluster",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "spec": {
            "idleTimeout": 3600,
            "worker": {"replicas": pod.workers, "spec": worker},
            "scheduler": {"spec": scheduler, "service": service},
        },
    }
