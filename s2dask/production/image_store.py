"""The store of the L1A or L1B images of a datastrip: made empty, or brought up to date when it is there."""

from typing import Any, Literal

from s2dask.auxdata.gipp_set import GippSet
from s2dask.io.schema_strip import conditions
from s2dask.io.storage import open_array
from s2dask.io.template import set_attributes
from s2dask.io.writer import write_whole
from s2dask.l1a.stage import is_rearranged
from s2dask.production.marks import forget, mark, marked
from s2dask.production.strip import start_images, strip_facts

_MADE = "RADIO_INIT"


def _shape(l0: str) -> str:
    facts = strip_facts(l0)
    samples = [open_array(l0, path).shape for path in conditions(1, 1, 1, 1)]
    return repr((facts.detectors, facts.bands, facts.scenes, samples))


def open_images(
    l0: str, store: str, level: Literal["L1A", "L1B"], gipps: GippSet, held: tuple[int, int] | None = None
) -> None:
    """Create the empty store of a datastrip's images; one of its shape keeps them (step RADIO_INIT).

    Parameters
    ----------
    l0 : str
        L0 store.
    store : str
    level : {"L1A", "L1B"}
    gipps : GippSet
    held : (int, int), optional
        First scene and last + 1 that it is to hold, of a virtual datastrip; default: all.
    """
    stated: dict[str, Any] = {"swir_rearranged": is_rearranged(gipps)} if level == "L1A" else {}
    if held is not None:
        stated["held"] = list(held)
    if marked(store, _MADE) == _shape(l0):
        set_attributes(store, {"s2dask": strip_facts(l0).attrs | {"level": level} | stated})
        for path in conditions(1, 1, 1, 1):
            write_whole(store, path, open_array(l0, path)[...])
        return
    forget(store)
    start_images(l0, store, level, **stated)
    mark(store, _MADE, _shape(l0))
