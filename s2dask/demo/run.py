"""The demonstration: a simulated session to surface reflectance, checked against the truth, on one page."""

import shutil
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable

from s2dask.cluster.local import local_client
from s2dask.cluster.warm_up import WarmUp
from s2dask.demo.measured import Measured, measure
from s2dask.geometry.tiles import tile_at
from s2dask.production.chain import Summary, run
from s2dask.production.progress import terminal
from s2dask.production.report import Report, Table, times, write_report
from s2dask.production.warm_up import calls
from s2dask.qc.checks import CheckResult
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.session import simulate

_SCL_LEGEND: Final = "white: cloud, brown: cloud shadow, green: vegetation, yellow: bare, blue: water, pink: snow"


def _number(value: float, digits: int) -> str:
    return "–" if value != value else f"{value:.{digits}f}"


def error_tables(measured: Measured) -> tuple[Table, Table]:
    """Return the errors as tables: one row per band, one row per quantity."""
    per_band = [
        (name, f"{e.radiance_bias:+.2f}", f"{e.radiance_rms:.2f}", _number(e.toa_rmse, 4), _number(e.boa_rmse, 4))
        for name, e in measured.bands.items()
    ]
    g, rays, clouds = measured.geolocation, measured.rays, measured.clouds
    rest = [
        ("geolocation rms", f"{g.rms:.2f} m", f"{g.patches} patches of B04, worst {g.worst:.2f} m"),
        ("rays, true attitude", f"{1e3 * rays.true:.2f} mm",
         f"rms of {rays.rays} rays, worst {1e3 * rays.worst:.2f} mm"),
        ("rays, told attitude", f"{rays.told:.2f} m", "rms of the same rays: its noise"),
        ("geolocation mean", f"{g.east:+.2f} m E, {g.north:+.2f} m N", ""),
        ("aerosol optical thickness", f"{measured.aot:+.3f}", "mean of the tile, at 550 nm"),
        ("water vapour rms", f"{measured.water_vapour:.2f} cm", "clear land"),
        ("clouds right", f"{clouds.overall:.1f} %",
         f"hit {clouds.hit}, missed {clouds.missed}, false {clouds.false}, clear {clouds.clear}"),
    ]  # fmt: skip
    header = ("band", "L1B bias %", "L1B rms % of Lref", "TOA rmse", "BOA rmse")
    note = "clear places; reflectance errors in reflectance units, the sharp edges of the landscape included"
    return Table("Errors against the truth, by band", header, per_band, note), Table(
        "Errors against the truth", ("quantity", "error", "of"), rest
    )


def _print(console: Console, table: Table) -> None:
    out = RichTable(title=table.title, title_justify="left")
    for k, name in enumerate(table.header):
        out.add_column(name, justify="left" if k == 0 else "right")
    for row in table.rows:
        out.add_row(*row)
    console.print(out)


def _pictures(summary: Summary, out: Path) -> dict[str, str]:
    found = {}
    for path in (Path(p) for p in summary.products):
        for kind, caption in (("rgb", "surface reflectance"), ("scl", f"scene classification ({_SCL_LEGEND})")):
            if path.name.endswith(f"_{kind}.png") and "MSIL2A" in path.name:
                shutil.copyfile(path, out / f"{kind}.png")
                found[f"{kind}.png"] = caption
    return found


def run_demo(out: Path, workers: int | None = None, seed: int = 1, keep: bool = False) -> Measured:
    """Run the demonstration and return what it measured.

    Parameters
    ----------
    out : Path
        Gets ``session``, ``products``, ``rgb.png``, ``scl.png`` and ``report.html``.
    workers : int, optional
    seed : int
    keep : bool
        Keep the working stores.
    """
    console, begun = Console(), time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    with local_client(workers) as client:
        console.print(f"Dask dashboard {client.dashboard_link}")
        # the workers compile while the session is simulated here
        client.register_plugin(WarmUp(calls(unit=SimulationOptions().unit)))
        with console.status("simulating a session of two detectors and thirteen bands"):
            session = simulate(str(out / "session"), SimulationOptions.of("usual", seed=seed))
        console.print(f"simulated {session} in {time.perf_counter() - begun:.0f} s")
        truth = Truth(f"{session}/truth.zarr")
        x0, y0, width, height = truth.window
        shutil.rmtree(out / "products", ignore_errors=True)
        with terminal() as listener:
            summary = run(
                session, client=client, out=str(out / "products"), tile=tile_at(*truth.attrs["centre"]),
                window=(x0, y0, width, height), keep=True, listener=listener,
            )  # fmt: skip
        with console.status("comparing with the truth"):
            measured = measure(summary, truth)
    if not keep:
        shutil.rmtree(out / "products" / ".work")
    tables, spent = error_tables(measured), time.perf_counter() - begun
    report = Report(
        "s2dask: from telemetry to surface reflectance",
        f"simulated session {truth.attrs['session']}, {width / 1000:.0f} km window, {spent:.0f} s in all",
        (*tables, times(summary.outcomes)), _pictures(summary, out),
        [CheckResult(**check) for check in summary.checks], summary.products,
    )  # fmt: skip
    write_report(str(out / "report.html"), report)
    for table in (times(summary.outcomes), *tables):
        _print(console, table)
    for path in (*summary.products, *(str(out / name) for name in ("rgb.png", "scl.png", "report.html"))):
        console.print(path, soft_wrap=True, highlight=False)
    console.print(f"{spent:.0f} s in all")
    return measured
