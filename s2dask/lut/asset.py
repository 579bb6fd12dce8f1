"""The file of one table: a Zarr group in one zip file, known by its digest."""

import csv
import hashlib
import io
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError, InputError, InputMissing
from s2dask.instrument import BANDS

Field = NDArray[np.float64]

FORMAT: Final = 1
INDEX: Final = "index.csv"
"""Beside the tables: their names, digests and sizes."""
STAND_INS: Final = {"S2D": "S2C"}
"""Units without spectral responses of their own, and whose table they take."""
STEP: Final = 2.0**-19
"""To which values are rounded before they are packed."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_AXES: Final = ("sun_zenith", "view_zenith", "relative_azimuth", "zenith", "aot", "pressure", "angle")


class Table(NamedTuple):
    """The radiative transfer of one unit and aerosol model, without gaseous absorption.

    Attributes
    ----------
    sun_zenith, view_zenith, relative_azimuth, zenith : (node) float64 [deg]
        0 azimuth is backscatter; `zenith` is the axis of transmittances, of sun or view.
    aot : (node) float64 [1]
        At 550 nm.
    pressure : (node) float64 [hPa]
        At the ground.
    angle : (angle) float64 [deg]
        Of scattering.
    multiple : (band, sun zenith, view zenith, relative azimuth, aot, pressure) float64 [1]
        Path reflectance less `single_scattering` with `thin` and `phase`.
    thin : (band, 3) float64 [1]
        For `single_scattering`: thickness of the molecules at 1013.25 hPa, and per AOT those of the particles, without
        the forward peak and scattering.
    phase : (band, angle) float64 [1]
        Function of the particles.
    transmittance, direct : (band, zenith, aot, pressure) float64 [1]
        Direct and diffuse together, and the direct part; the same down and up.
    spherical_albedo : (band, aot, pressure) float64 [1]
    origin : dict
        How it was made.
    """

    sun_zenith: Field
    view_zenith: Field
    relative_azimuth: Field
    zenith: Field
    aot: Field
    pressure: Field
    angle: Field
    multiple: Field
    thin: Field
    phase: Field
    transmittance: Field
    direct: Field
    spherical_albedo: Field
    origin: dict[str, Any]


_DIMENSIONS: Final = {
    **{name: (name,) for name in _AXES},
    "multiple": ("band", "sun_zenith", "view_zenith", "relative_azimuth", "aot", "pressure"),
    "thin": ("band", "part"),
    "phase": ("band", "angle"),
    "transmittance": ("band", "zenith", "aot", "pressure"),
    "direct": ("band", "zenith", "aot", "pressure"),
    "spherical_albedo": ("band", "aot", "pressure"),
}


def file_name(unit: str, aerosol: str) -> str:
    """Return the name of the file of a table."""
    return f"{aerosol}_{STAND_INS.get(unit, unit)}.zarr.zip"


def _packed(store: dict[str, Any]) -> bytes:
    """Return a Zarr store in memory as a zip file that depends on its content alone."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for key in sorted(store):
            archive.writestr(zipfile.ZipInfo(key, _EPOCH), store[key].to_bytes())
    return target.getvalue()


def write_table(folder: Path, unit: str, aerosol: str, table: Table) -> Path:
    """Write a table, and its line in the index of the folder.

    Parameters
    ----------
    folder : Path
    unit, aerosol : str
    table : Table

    Returns
    -------
    Path
        Of the file.
    """
    import zarr
    from zarr.codecs import BloscCodec, BloscShuffle
    from zarr.storage import MemoryStore

    held: dict[str, Any] = {}
    group = zarr.create_group(MemoryStore(held), zarr_format=3)
    group.attrs.update({"format": FORMAT, "unit": unit, "aerosol": aerosol, "bands": list(BANDS), **table.origin})
    for name, dimensions in _DIMENSIONS.items():
        values = np.asarray(getattr(table, name), np.float64)
        kept = values if name in _AXES else np.round(values / STEP) * STEP
        array = group.create_array(
            name,
            shape=kept.shape,
            dtype="float32",
            chunks=kept.shape if name in _AXES else (1, *kept.shape[1:]),
            compressors=BloscCodec(cname="zstd", clevel=9, shuffle=BloscShuffle.shuffle),
            dimension_names=dimensions,
        )
        array[...] = kept.astype(np.float32)
    content = _packed(held)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(unit, aerosol)
    path.write_bytes(content)
    _enter(folder, path.name, content)
    return path


def _lines(text: str) -> dict[str, tuple[str, int]]:
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return {row["file"]: (row["sha256"], int(row["bytes"])) for row in rows}


def _enter(folder: Path, name: str, content: bytes) -> None:
    index = folder / INDEX
    known = _lines(index.read_text("utf-8")) if index.is_file() else {}
    known[name] = (hashlib.sha256(content).hexdigest(), len(content))
    rows = [f"{file},{digest},{size}" for file, (digest, size) in sorted(known.items())]
    index.write_text("\n".join(["file,sha256,bytes", *rows, ""]), "utf-8")


def _content(unit: str, aerosol: str, folder: str | None) -> tuple[str, bytes]:
    place = Path(folder) if folder is not None else Path(str(files("s2dask").joinpath("data/lut")))
    path = place / file_name(unit, aerosol)
    remedy = "build it with `s2dask lut build`, and give its folder"
    if not path.is_file():
        there = ", ".join(sorted(found.name for found in place.glob("*.zarr.zip"))) or "none"
        raise InputMissing(f"no table {path.name}; there: {there}", str(place), remedy)
    index = place / INDEX
    known = _lines(index.read_text("utf-8")) if index.is_file() else {}
    if path.name not in known:
        raise InputMissing("the index does not know this table", str(path), remedy)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != known[path.name][0]:
        raise InputError("the table is not the one of the index: its SHA-256 differs", str(path), remedy)
    return str(path), content


def read_table(unit: str, aerosol: str, folder: str | None = None) -> Table:
    """Read a table and check that it is the one that was written.

    Parameters
    ----------
    unit : str
        One without a table takes that of `STAND_INS`.
    aerosol : str
    folder : str, optional
        Default: the tables that come with s2dask.

    Returns
    -------
    Table

    Raises
    ------
    InputMissing
        No such table.
    InputError
        Damaged, of another unit or form, or holds what is not a number.
    """
    import zarr
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    where, content = _content(unit, aerosol, folder)
    remedy = "build the table again"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            buffer = default_buffer_prototype().buffer
            held = {key: buffer.from_bytes(archive.read(key)) for key in archive.namelist()}
        store = MemoryStore(held)
        attributes: dict[str, Any] = dict(zarr.open_group(store, mode="r").attrs)
        arrays = {
            name: np.asarray(zarr.open_array(store, path=name, mode="r")[...], np.float64) for name in _DIMENSIONS
        }
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"not a table ({error})", where, remedy) from error
    expected = {"format": FORMAT, "unit": STAND_INS.get(unit, unit), "aerosol": aerosol, "bands": list(BANDS)}
    for name, value in expected.items():
        if attributes.get(name) != value:
            raise InputError(f"{name} is {attributes.get(name)!r}, not {value!r}", where, remedy)
    if not all(np.isfinite(values).all() for values in arrays.values()):
        raise InputError("holds what is not a finite number", where, remedy)
    return Table(**arrays, origin={name: value for name, value in attributes.items() if name not in expected})


def check_names(unit: str, aerosol: str) -> None:
    """Refuse a name that would be no file name."""
    if not (unit.isalnum() and aerosol.replace("-", "").isalnum()):
        raise ConfigurationError(f"{unit!r} or {aerosol!r} is no name of a table", "aerosol", "e.g. continental")
