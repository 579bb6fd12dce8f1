"""Image codecs by name: what turns the bytes of source packets into lines.

The mission's own compression (MRCPB) is not public: ``ccsds122``, the Blue Book's wavelet coder at the mission's fixed
rates, stands in for it, and ``raw12`` is the uncompressed form. A package can offer another codec, a licensed MRCPB
decoder for one, under the entry point group ``s2dask.codecs``.
"""

from functools import cache
from importlib.metadata import entry_points
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument import LINES_PER_PACKET
from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.l0.codec.ccsds122 import Ccsds122, packet_columns
from s2dask.l0.codec.interface import LOST, Codec
from s2dask.l0.codec.raw12 import Raw12

__all__ = ["LOST", "Ccsds122", "Codec", "Raw12", "codec", "codec_of_packet"]

_OWN: Final[dict[str, type[Codec]]] = {"raw12": Raw12, "ccsds122": Ccsds122}


@cache
def codec(name: str) -> Codec:
    """Return the codec of that name; `ConfigurationError` names what exists."""
    if name in _OWN:
        return _OWN[name]()
    found = {e.name: e for e in entry_points(group="s2dask.codecs")}
    if name not in found:
        raise ConfigurationError(f"no codec {name}", "L0", f"one of {', '.join([*_OWN, *found])}")
    made: Codec = found[name].load()()
    return made


def codec_of_packet(size: int, raw_columns: int, packet: NDArray[np.uint8] | None = None) -> str:
    """Return the codec that packets of a size and width must be of.

    ``raw12`` by its exact length; ``ccsds122`` when a packet is given and holds such a strip of that width, for its
    length is that of the mission's packets; else ``mrcpb``.
    """
    plain = ISP_HEAD_BYTES + LINES_PER_PACKET * raw_columns * 3 // 2 + CRC_BYTES
    if size == plain:
        return "raw12"
    return "ccsds122" if packet is not None and packet_columns(packet) == raw_columns else "mrcpb"
