"""Every notebook runs from its first cell to its last, and shows a picture."""

import os
from pathlib import Path

import jupytext
import pytest
from conftest import ROOT, reference_folder
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = jupytext.read(path)
    needs = book.metadata.get("s2dask", {}).get("needs")
    if needs and not (reference_folder() / needs).exists():
        pytest.skip(f"no reference data {needs}: set S2DASK_REFERENCE_DATA")
    monkeypatch.setenv("S2DASK_REFERENCE_DATA", str(reference_folder()))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = [
        output.data["image/png"]
        for cell in book.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert pictures
    if shown := os.environ.get("S2DASK_NOTEBOOK_OUTPUT"):
        jupytext.write(book, Path(shown) / f"{path.stem}.ipynb")
