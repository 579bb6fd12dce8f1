"""Rules of the house that no linter knows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES = 400
HEAVY = {"dask", "distributed", "lxml", "numba", "numpy", "pandas", "pyproj", "rasterio", "scipy", "xarray", "zarr"}
MACHINE = re.compile(r"(?<![\w.:/*])/(?:root|home|Users|work|mnt|opt)/\w")
REGISTRY = re.compile(r"\b(?:pypi\.org|pythonhosted\.org|anaconda\.(?:org|com)|registry\.npmjs\.org)\b")


def _files() -> list[Path]:
    """Return the files of the project, those not yet committed among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git repository: which files belong to the project is not known")
    return [ROOT / name for name in run.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_a_module_is_one_idea() -> None:
    folders = ("s2dask", "tests", "benchmarks", ".ci")
    sizes = {path: len(path.read_text("utf-8").splitlines()) for f in folders for path in (ROOT / f).rglob("*.py")}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > LINES} == {}


@pytest.mark.parametrize("module", ["s2dask", "s2dask.cli", "s2dask.errors"])
def test_a_light_module_imports_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_no_path_of_a_machine_and_no_registry() -> None:
    found = []
    for path in _files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        lines = enumerate(text.splitlines(), 1)
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in lines if MACHINE.search(line) or REGISTRY.search(line)]
    assert found == []
