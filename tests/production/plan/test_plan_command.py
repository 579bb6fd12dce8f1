"""``s2dask plan``."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from s2dask.commands.plan import register

app = typer.Typer()
register(app)


@app.callback()
def _several() -> None:
    """Keep the name of the only command."""


def test_the_plan_as_json(sparse: Path) -> None:
    made = CliRunner().invoke(
        app, ["plan", str(sparse), "--to", "L1C", "--workers", "4", "--delivery", "zarr", "--json"]
    )
    assert made.exit_code == 0, made.output
    facts = json.loads(made.output)
    assert facts["source"]["strips"][0]["scenes"] == 40
    assert facts["forecast"]["seconds"] * 4 * facts["forecast"]["efficiency"] > 0
    assert {unit["kind"] for unit in facts["units"]} == {"SESSION", "L0", "L1B", "STRIP", "TILE"}
    assert facts["interval_80"][0] < facts["core_seconds"] < facts["interval_80"][1]


def test_tables_promises_and_the_page(sparse: Path, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    made = CliRunner().invoke(app, ["plan", str(sparse), "--sla", "--workers", "2", "--html", str(page)])
    assert made.exit_code == 0, made.output
    assert "core hours, 80 % interval" in made.output
    assert "2 workers: done" in made.output
    assert "2 workers: at most" in made.output
    assert "Stages on these cores" in page.read_text("utf-8")
    assert "Cores for the promised times" in page.read_text("utf-8")
    for delivery in ("s2-strict", "s2-fast", "htj2k", "zarr"):
        assert f"L2A {delivery}" in page.read_text("utf-8")
