"""Who may import whom: the packages know only what lies below them, so that each can be read and changed alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEVELS = ("l0", "l1a", "l1b", "l1c", "l2a")
ORCHESTRATION = {"production", "qc", "io", "graph"}

MAY_IMPORT: dict[str, set[str]] = {
    "auxdata": set(),
    "geometry": {"auxdata"},
    "io": set(),
    "graph": {"io"},
    "algorithm": {"geometry", "lut.asset", "lut.single"},
    # the files of a station, wherever they lie: no algorithm, and no stage either
    "files": {"io"},
    "stage": {"graph", "io", "auxdata", "geometry", "qc.records"},
    "qc": {"io", "graph"},
    "release": {"io", "qc"},
    "cluster": set(),
    "stations": {"io", "release"},
    # the one place where the chain is assembled: everything but its users
    "production": {"graph", "cluster", "release", "stations", "auxdata", "geometry", "io", "qc", *LEVELS},
    "calval": ORCHESTRATION,
    "console": ORCHESTRATION,
    "cli": ORCHESTRATION | {"cluster", "commands", "demo", "simulate"},
    # the command line by subject
    "commands": ORCHESTRATION | {"cluster", "lut", "l2a.lut"},
    # the builder of tables for L2A; `lut.asset` and `lut.single` use them
    "lut": set(),
    # orchestrates as the command line does: it makes a session, runs it and compares the products with its truth
    "demo": ORCHESTRATION | {"cluster", "simulate", "geometry", "auxdata"},
    # not the terrain of the location code: the simulator traces rays by its own route; an encoder is a format, and
    # what the decoder makes of it is compared with the image before it
    "simulate": {"io", "l0.codec.ccsds122", *(f"auxdata.{m}" for m in ("cams", "datastrip", "iers", "meteo", "time"))}
    | {f"auxdata.{m}" for m in ("acquisition", "gipp_file", "gipp_geometry", "gipp_radiometry", "gipp_radiometry_text")}
    | {f"auxdata.gipp_{m}" for m in ("binning", "defect_filters", "equalisation", "filters", "rearrangement", "record")}
    | {f"auxdata.gipp_{m}" for m in ("restoration", "scenario", "set")},
}
"""By package, beside itself and the foundations; a level's modules are `algorithm` or `stage`."""

FOUNDATIONS = {"errors", "instrument", "kernels"}
"""For everyone; they know each other, and nothing else of ours."""

FOREIGN_TO_ALGORITHMS = {"dask", "distributed", "xarray", "zarr", "fsspec", "s3fs", "rioxarray"}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "s2dask").rglob("*.py")):
        parts = path.relative_to(ROOT / "s2dask").with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _imports(path: Path) -> Iterator[str]:
    """Yield what a module imports, wherever in it: modules of ours in full, ``s2dask.io.schema``."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name.startswith("s2dask") and _is_module(name) else node.module for name in inner)


def _kind(module: str) -> str:
    package = module.split(".", maxsplit=1)[0]
    if package not in LEVELS:
        return package
    if module == "l0.blocks":
        return "files"
    return "stage" if module.endswith(".stage") else "algorithm"


def _below(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def _offences(module: str, path: Path) -> Iterator[str]:
    own, kind = module.split(".", maxsplit=1)[0], _kind(module)
    allowed = FOUNDATIONS if own in FOUNDATIONS else FOUNDATIONS | {own} | MAY_IMPORT[kind]
    for name in _imports(path):
        target = name.removeprefix("s2dask.")
        if name == "s2dask":
            continue
        if name.startswith("s2dask."):
            if not _below(target, allowed):
                yield f"{module} imports {target}"
        elif kind in ("algorithm", "files") and name.split(".")[0] in FOREIGN_TO_ALGORITHMS:
            yield f"{module} is an algorithm and imports {name}"


@pytest.mark.parametrize("package", sorted({module.split(".")[0] for module, _ in _modules()} - {""}))
def test_a_package_imports_what_it_may(package: str) -> None:
    assert package in FOUNDATIONS | MAY_IMPORT.keys() | set(LEVELS), "a package that no rule names"
    modules = [(module, path) for module, path in _modules() if module.split(".")[0] == package]
    assert [offence for module, path in modules for offence in _offences(module, path)] == []


def test_an_offence_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from s2dask.l1b import stage\n    import xarray.ufuncs\nfrom s2dask import errors\n")
    assert list(_offences("l1c.location", path)) == [
        "l1c.location imports l1b.stage",
        "l1c.location is an algorithm and imports xarray.ufuncs",
    ]
    assert list(_offences("l1c.stage", path)) == ["l1c.stage imports l1b.stage"]
    assert list(_offences("production.chain", path)) == []
