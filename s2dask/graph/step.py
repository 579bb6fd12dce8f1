"""A step: the named function of the operational processors, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One processing step.

    Attributes
    ----------
    name : str
        IDP-SC name, the prefix of its Dask keys: ``RADIO_AB``.
    level : str
        ``L1B``.
    gipp : tuple of str
        GIPP types that it reads.
    version : str
        Raised when the result changes; part of the identity of its outputs.
    summary : str
        What it does, in a clause.
    """

    name: str
    level: str
    gipp: tuple[str, ...] = ()
    version: str = "1"
    summary: str = ""
