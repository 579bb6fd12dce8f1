"""What the Dask dashboard and its reports are told about a unit of work."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from distributed import Client, performance_report
from distributed import span as dask_span

_log = logging.getLogger(__name__)


@contextmanager
def _written(page: Path) -> Iterator[None]:
    """Write Dask's report of the time between, unless its scheduler is gone by then."""
    page.parent.mkdir(parents=True, exist_ok=True)
    report = performance_report(str(page))
    report.__enter__()
    try:
        yield
    finally:
        try:
            report.__exit__(None, None, None)
        except (OSError, RuntimeError, ValueError) as error:
            _log.warning("no report %s: the scheduler does not answer (%s)", page, error)


@contextmanager
def reported(client: Client, *names: str, page: str | Path | None = None) -> Iterator[None]:
    """Put the tasks that are submitted meanwhile into a span, and on request write Dask's report of that time.

    Parameters
    ----------
    client : Client
    *names : str
        Of the span, from the outside in. Metrics are kept by span and step, which the key of a task begins with.
    page : str or Path, optional
        HTML file to write: task stream, profile, bandwidth, memory. Of all that the cluster does meanwhile.

    Notes
    -----
    A span is an annotation: it reaches tasks that are handed over one by one or as delayed objects without
    optimisation, as `s2dask.graph` does, and is lost on fused arrays. Dask keeps all tasks of a step that are there at
    a time in one span: those of runs side by side on one scheduler fall to the first.
    """
    with ExitStack() as stack:
        stack.enter_context(client.as_current())
        if page is not None:
            stack.enter_context(_written(Path(page)))
        if names:
            stack.enter_context(dask_span(*names))
        yield
