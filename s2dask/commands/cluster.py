"""The options that say which cluster works, of every command that needs one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s2dask.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from distributed import Client

    from s2dask.cluster.connect import Connection

Workers = Annotated[int | None, typer.Option("--workers", "-w", help="Worker processes here; default: one per core.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", "--scheduler", metavar="ADDRESS",
        help="A scheduler that is there, tcp://HOST:PORT or tls://HOST:PORT, in the place of workers here; its workers "
        "see the same folders.",
    ),
]  # fmt: skip
Ca = Annotated[Path | None, typer.Option("--tls-ca", help="PEM file of who vouches for a tls:// cluster.")]
Cert = Annotated[Path | None, typer.Option("--tls-cert", help="PEM file of your certificate for it.")]
Key = Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")]


@contextmanager
def connected(
    workers: int | None, cluster: str | None, tls: tuple[Path | None, Path | None, Path | None] = (None, None, None)
) -> "Iterator[Connection]":
    """Yield the way to the cluster that works.

    Parameters
    ----------
    workers : int, optional
        Processes here.
    cluster : str, optional
        Address of a scheduler, in their place.
    tls : (Path or None, Path or None, Path or None)
        Authority, certificate and key.
    """
    from s2dask.cluster.connect import Connection, Credentials, open_client

    if cluster is not None and workers is not None:
        raise ConfigurationError("workers here and a cluster elsewhere", "--workers, --cluster", "give one of them")
    ca, cert, key = tls
    if ca is not None and cert is not None and key is not None:
        credentials = Credentials(ca, cert, key)
    elif tls != (None, None, None):
        raise ConfigurationError("not all of the three files", "--tls-ca, --tls-cert, --tls-key", "give all of them")
    else:
        credentials = None

    def way() -> "AbstractContextManager[Client]":
        return open_client(cluster or "local", workers=workers, credentials=credentials)

    with Connection(way) as connection:
        yield connection
