"""Build the tables: columns at some wavelengths, each kept when solved, then one table per unit."""

import logging
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np

from s2dask.errors import ConfigurationError
from s2dask.lut.asset import write_table
from s2dask.lut.bands import Source, over_bands
from s2dask.lut.column import GRID, LAYERS, STREAMS, Monochromatic, monochromatic
from s2dask.lut.particles import MODELS

log = logging.getLogger(__name__)

WAVELENGTHS: Final = (
    *(420, 440, 460, 485, 510, 540, 570, 600, 650, 690, 720, 760, 800, 850, 950),
    *(1380, 1540, 1610, 1650, 1690, 2060, 2200, 2340),
)
"""Where the columns are solved [nm]: scattering is smooth between them."""


def _kept(folder: Path, model: str, wavelength: int) -> Path:
    return folder / "columns" / f"{model}_{wavelength}.npz"


def _solve(folder: Path, model: str, wavelength: int) -> None:
    found = monochromatic(model, wavelength / 1000, GRID)
    path = _kept(folder, model, wavelength)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".part.npz")
    np.savez(written, **found._asdict())
    written.rename(path)


def _read(folder: Path, model: str, wavelength: int) -> Monochromatic:
    with np.load(_kept(folder, model, wavelength)) as found:
        return Monochromatic(
            found["path"], found["transmittance"], found["spherical_albedo"], float(found["extinction"])
        )


def solve_columns(model: str, folder: Path, workers: int = 1) -> list[Monochromatic]:
    """Solve what is not solved yet, one wavelength per task, and return all.

    Parameters
    ----------
    model : str
    folder : Path
        Solved wavelengths are kept in its ``columns``: a run that was cut short goes on from there.
    workers : int

    Returns
    -------
    list of Monochromatic
        In the order of `WAVELENGTHS`.
    """
    left = [wavelength for wavelength in WAVELENGTHS if not _kept(folder, model, wavelength).is_file()]
    with ProcessPoolExecutor(max_workers=workers) as pool:
        tasks = {pool.submit(_solve, folder, model, wavelength): wavelength for wavelength in left}
        for task in as_completed(tasks):
            task.result()
            log.info("%s at %d nm solved", model, tasks[task])
    return [_read(folder, model, wavelength) for wavelength in WAVELENGTHS]


def build_tables(model: str, units: tuple[str, ...], folder: Path, spectra: Path, workers: int = 1) -> list[Path]:
    """Build the tables of an aerosol model.

    Parameters
    ----------
    model : str
    units : tuple of str
    folder : Path
        For the tables, their index and the columns solved so far.
    spectra : Path
        Folder of spectral responses and sunlight: see `s2dask.lut.bands`.
    workers : int

    Returns
    -------
    list of Path
        One table per unit.

    Raises
    ------
    ConfigurationError
        The extra is not installed, or there is no such model.
    """
    try:
        release = version("sasktran2")
    except PackageNotFoundError:
        raise ConfigurationError("needs sasktran2", "s2dask lut build", "pip install s2dask[lut]") from None
    if model not in MODELS:
        raise ConfigurationError(f"no aerosol model {model!r}", "--aerosol", f"one of {', '.join(MODELS)}")
    sources = [Source(spectra, unit) for unit in units]
    columns = solve_columns(model, folder, workers)
    written = []
    for source in sources:
        table = over_bands(model, columns, WAVELENGTHS, source)
        origin = table.origin | {"solver": f"sasktran2 {release}", "streams": STREAMS, "layers": LAYERS}
        written.append(write_table(folder, source.unit, model, table._replace(origin=origin)))
        log.info("%s", written[-1])
    return written
