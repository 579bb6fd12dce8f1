"""What the Dask dashboard and its reports are told about a unit of work."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from distributed import Client, performance_report
from distributed import span as dask_span


@contextmanager
def reported(client: Client, *names: str, page: str | Path | None = None) -> Iterator[None]:
    """Put the tasks that are submitted meanwhile into a span, and on request write Dask's report of that time.

    Parameters
    ----------
    client : Client
    *names : str
        Of the span, from the outside in: run, datastrip, unit. Metrics are kept by span.
    page : str or Path, optional
        HTML file to write: task stream, profile, bandwidth, memory. Of all that the cluster does meanwhile.

    Notes
    -----
    A span is an annotation: it reaches tasks that are handed over one by one or as delayed objects without
    optimisation, as `s2dask.graph` does, and is lost on fused arrays.
    """
    with ExitStack() as stack:
        stack.enter_context(client.as_current())
        if page is not None:
            Path(page).parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(performance_report(str(page)))
        if names:
            stack.enter_context(dask_span(*names))
        yield
