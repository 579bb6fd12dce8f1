"""The verification page is what the marks of the tests say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "rows.py"
LIST = """# List
## 1 First part (A)
| ID | what | S/I | Evidence |
|---|---|---|---|
|A-01|one → two|S|x|
|A-02|a long story|I|y|
## 2 Second part
|B-01|* of it|S|z|
"""


@pytest.fixture(scope="module")
def rows() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rows", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rows"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_in_step(rows: ModuleType) -> None:
    if not rows.rows_file().is_file():
        pytest.skip(f"no verification list at {rows.rows_file()}: set S2DASK_REFERENCE_DATA")
    run = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_marks_are_found_wherever_they_are(rows: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    mark = "@pytest.mark.row"
    (folder / "test_a.py").write_text(
        f'import pytest\n\n{mark}("A-01")\n{mark}("B-01", "A-02")\ndef test_one(): ...\n\ndef helper(): ...\n'
        f'\n{mark}("A-02")\nclass TestMany:\n    def test_two(self): ...\n'
    )
    (folder / "test_b.py").write_text(
        "import pytest\npytestmark = [pytest.mark.slow, pytest.mark.row('A-01')]\ndef test_three(): ...\n"
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.row('B-01'))])\ndef test_four(x): ...\n"
    )
    assert rows.proofs(folder) == {
        "A-01": ["tests/test_a.py::test_one", "tests/test_b.py::test_three", "tests/test_b.py::test_four"],
        "B-01": ["tests/test_a.py::test_one", "tests/test_b.py::test_four"],
        "A-02": ["tests/test_a.py::test_one", "tests/test_a.py::TestMany::test_two"],
    }


def test_the_page_counts_and_lists(rows: ModuleType) -> None:
    text = rows.page(rows.read_sections(LIST), {"A-01": ["tests/x/test_a.py::test_one"]})
    assert "| First part (A) | 1 | 2 |" in text
    assert "| Second part | 0 | 1 |" in text
    assert "| **all** | **1** | **3** |" in text
    assert "| A-01 | one → two | `x/test_a.py::test_one` |" in text
    assert r"| B-01 | \* of it | open |" in text


def test_an_unknown_row_is_refused(rows: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"A-09 is no row of the list: tests/test_a\.py::test_one"):
        rows.page(rows.read_sections(LIST), {"A-09": ["tests/test_a.py::test_one"]})
