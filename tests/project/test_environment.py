"""environment.yml in step with pyproject.toml, and pyproject.toml with what the code imports."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA_NAMES = {"dask": "dask-core"}
"""Where conda-forge has another name."""
ONLY_FOR_CONDA = {"pip", "python"}
IMPORT_NAMES = {"dask-kubernetes": "dask_kubernetes", "pillow": "PIL", "pyerfa": "erfa"}
"""Where the module is not named like the distribution."""
NOT_IMPORTED = {
    "bokeh": "draws the Dask dashboard",
}


def _split(requirement: str) -> tuple[str, str]:
    """Return name and floor of ``dask[array]>=1; python_version > '3'``."""
    match = re.match(r"\s*([\w.-]+)\s*(?:\[[^\]]*\])?\s*([^;]*)", requirement)
    assert match is not None, requirement
    return match[1].lower(), match[2].strip()


def _declared() -> dict[str, str]:
    return dict(_split(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]])


def test_conda_has_the_same_names_and_floors() -> None:
    lines = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    pip = next(line["pip"] for line in lines if isinstance(line, dict))
    conda = dict(_split(line) for line in lines if isinstance(line, str))
    assert conda["python"] == PROJECT["requires-python"]
    found = {name: floor for name, floor in conda.items() if name not in ONLY_FOR_CONDA} | dict(map(_split, pip))
    assert found == {CONDA_NAMES.get(name, name): floor for name, floor in _declared().items()}


def test_every_requirement_has_a_floor() -> None:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    assert [line for line in [*PROJECT["dependencies"], *extras] if ">=" not in line] == []


def test_the_lock_file_holds_every_requirement() -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    assert {name.replace("_", "-") for name in _declared()} <= locked


def test_imports_are_declared_and_declarations_imported() -> None:
    imported = set()
    for path in (ROOT / "s2dask").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    names = {_split(line)[0] for line in PROJECT["dependencies"]}
    expected = {IMPORT_NAMES.get(name, name) for name in names - NOT_IMPORTED.keys()}
    optional = {_split(PROJECT["optional-dependencies"]["lut"][0])[0]}
    extras = [line for extra in ("jp2", "k8s", "report") for line in PROJECT["optional-dependencies"][extra]]
    optional |= {IMPORT_NAMES.get(name, name) for name in (_split(line)[0] for line in extras)}
    assert optional <= imported
    assert imported - sys.stdlib_module_names - {"s2dask"} - optional == expected
