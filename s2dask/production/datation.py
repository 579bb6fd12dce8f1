"""Which datation a session is given: that of its GIPPs, or the public constants."""

from datetime import datetime
from pathlib import Path

from s2dask.auxdata.gipp_datation import read_datation, read_datation_scenario
from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import InputMissing
from s2dask.l0.datation import DatationModel


def datation_model(aux: str, unit: str, start: datetime) -> DatationModel:
    """Return the datation model that holds for a session.

    Parameters
    ----------
    aux : str
        Folder of auxiliary files.
    unit : str
    start : datetime
        Of the session, UTC.

    Notes
    -----
    The scenario is that of GIP_PRDLOC, which a mission's processor takes for L1 only: a real L0 datastrip says INITIAL,
    and the L1C of the same strip EXOGENEOUS with dates 2 ms earlier. There is one set of line dates here, which serves
    all levels. Without GIP_DATATI there is nothing to correct with, and the scenario is NOMINAL.
    """
    folder = Path(aux) / "gipp"
    try:
        gipps = GippSet.open(folder, unit, start, start)
        path = gipps.path("DATATI")
    except InputMissing:
        return DatationModel()
    found = read_datation(path, unit)
    try:
        scenario = read_datation_scenario(gipps.path("PRDLOC"), unit)
    except InputMissing:
        scenario = "NOMINAL"
    return DatationModel(
        scenario, found.line_period, found.time_shift, found.largest_period_error, found.sigmas,
        found.largest_residual, found.delta_on_t0, found.refined_period,
    )  # fmt: skip
