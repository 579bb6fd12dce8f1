"""Level 0, step by step: files of CADUs to packets, packets to a datastrip.

`decode_file` is one task per DSDB file; `plan_strips` sees only the small indices and finds datastrips, scenes, dates
and gaps; `gather_packets` collects the packets of one detector, band and scene; `changed_granules` tells which of them
are to be made again when a file comes late or another time.
"""

from typing import Final

from s2dask.graph.step import Step
from s2dask.l0.channel_file import FilePart, FileResult, decode_file
from s2dask.l0.granules import (
    COMPLETE,
    DEGRADED,
    LOST,
    changed_granules,
    gather_packets,
    granule_digest,
    granules_of,
)
from s2dask.l0.strip_plan import PacketTable, StripPlan, plan_strip, plan_strips

__all__ = [
    "COMPLETE", "DEGRADED", "LOST", "STEPS", "FilePart", "FileResult", "PacketTable", "StripPlan", "changed_granules",
    "decode_file", "gather_packets", "granule_digest", "granules_of", "plan_strip", "plan_strips",
]  # fmt: skip

STEPS: Final = (
    Step("EISPProcessor", "L0", summary="frames of one file: synchronise, correct, extract packets"),
    Step("MSI_Merge", "L0", summary="packets of both channels: gaps, datation, scenes"),
    Step("ANC_DATA", "L0", summary="orbit and attitude of the ancillary packets"),
)
"""The steps of the level."""
