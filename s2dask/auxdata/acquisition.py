"""How an instrument acquired: ``Acquisition_Configuration`` as the metadata of an L0 datastrip have it.

Public descriptions of the source packets do not say where they tell whether the instrument equalised on board, and by
which table. Whoever receives packets must know it from elsewhere: here, from a file of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from s2dask.auxdata.xml_file import parse_xml
from s2dask.errors import InputError

FILE: Final = "acquisition.xml"
"""In the folder of auxiliary files."""
_ROOT: Final = "Acquisition_Configuration"
_LARGEST_TABLE: Final = 255


@dataclass(frozen=True, slots=True)
class Acquisition:
    """The part of the configuration that the ground must know.

    Attributes
    ----------
    equalization_mode : bool
        EQUALIZATION_MODE: whether the instrument equalised.
    nuc_table_id : int
        NUC_TABLE_ID: the table that it took.
    """

    equalization_mode: bool
    nuc_table_id: int


def write_acquisition(value: Acquisition) -> str:
    """Return the configuration as XML."""
    mode = "true" if value.equalization_mode else "false"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{_ROOT}>\n  <EQUALIZATION_MODE>{mode}</EQUALIZATION_MODE>\n'
        f"  <NUC_TABLE_ID>{value.nuc_table_id}</NUC_TABLE_ID>\n</{_ROOT}>\n"
    )


def read_acquisition(path: Path) -> Acquisition:
    """Read a configuration."""
    root = parse_xml(path)
    if root.tag != _ROOT:
        raise InputError(f"{root.tag} instead of {_ROOT}", path.name, "give the configuration of the acquisition")
    mode, table = ((root.findtext(tag) or "").strip() for tag in ("EQUALIZATION_MODE", "NUC_TABLE_ID"))
    if mode not in ("true", "false"):
        raise InputError(f"EQUALIZATION_MODE: {mode!r}", path.name, "true or false")
    if not (table.isascii() and table.isdigit() and int(table) <= _LARGEST_TABLE):
        raise InputError(f"NUC_TABLE_ID: {table[:20]!r}", path.name, f"a number from 0 to {_LARGEST_TABLE}")
    return Acquisition(mode == "true", int(table))
