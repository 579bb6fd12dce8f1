"""The command line: arguments only, the work is done elsewhere."""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from s2dask.commands import campaign, ground, ledger, level0, lut, plan, qc, rehearse, run
from s2dask.errors import ConfigurationError, S2Error

app = typer.Typer(
    name="s2dask",
    help="Sentinel-2 from telemetry frames to surface reflectance, on Dask.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("repeat")(run.repeat)
plan.register(app)
rehearse.register(app)
app.add_typer(campaign.app)
app.add_typer(ledger.app)
app.command("tiles")(ground.tiles)
app.command("locate")(ground.locate)
app.add_typer(level0.app)
app.add_typer(lut.app)
app.add_typer(qc.app)

Workers = Annotated[int | None, typer.Option("--workers", "-w", help="Worker processes; default: one per core.")]
UnitOption = Annotated[str | None, typer.Option("--unit", help="Unit, for a session of EDRS: S2A, S2B, S2C or S2D.")]
OrbitOption = Annotated[int | None, typer.Option("--orbit", help="Absolute orbit, for a session of EDRS.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for products and working stores.")]


def _numbers(text: str, what: str, count: int | None = None) -> list[int]:
    try:
        values = [int(part) for part in text.replace(" ", "").split(",") if part]
    except ValueError:
        values = []
    if not values or (count is not None and len(values) != count):
        raise ConfigurationError(f"{text!r} is not a list of whole numbers", what, "separate them by commas")
    return values


@app.command()
def demo(
    out: Out = Path("demo"),
    workers: Workers = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated landscape and noise.")] = 1,
    keep: Annotated[bool, typer.Option(help="Keep the working stores (L0, L1B) beside the products.")] = False,
) -> None:
    """Simulate a CADU session, process it to L2A, check it, deliver it and compare it with the truth."""
    from s2dask.demo.run import run_demo

    run_demo(out, workers=workers, seed=seed, keep=keep)


@app.command()
def simulate(
    session: Annotated[Path, typer.Argument(help="Folder to write the session to.")],
    detectors: Annotated[
        str | None, typer.Option(help="Detectors, 1 to 12; default: 6,7, all of a structure.")
    ] = None,
    bands: Annotated[str, typer.Option(help="Bands, or 'all'.")] = "all",
    scenes: Annotated[
        int | None, typer.Option(help="Scenes of 3.6 s; default: enough to see the window in every band.")
    ] = None,
    window: Annotated[int, typer.Option(help="Edge of the square that all bands see [m], a multiple of 60.")] = 20_040,
    unit: Annotated[str, typer.Option(help="S2A, S2B, S2C or S2D.")] = "S2A",
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    aot: Annotated[float, typer.Option(help="Aerosol optical thickness at 550 nm.")] = 0.15,
    water_vapour: Annotated[float, typer.Option(help="Water vapour column [cm].")] = 2.0,
    geometry: Annotated[
        Path | None,
        typer.Option(help="Folder of a real L1B datastrip: its orbit, attitude, viewing directions and DEM are used."),
    ] = None,
    codec: Annotated[str, typer.Option(help="Of image packets: ccsds122 (fixed rate) or raw12 (plain).")] = "ccsds122",
    lose_frames: Annotated[int, typer.Option(help="Frames to lose at random.")] = 0,
    bit_errors: Annotated[float, typer.Option(help="Symbol error rate on the link.")] = 0.0,
    dead_pixels: Annotated[int | None, typer.Option(help="Defective pixels per detector and band.")] = None,
    effects: Annotated[
        str,
        typer.Option(
            help="Of the instrument: none; usual: on-board equalisation; or all: staggered SWIR lines, optical "
            "crosstalk, dead and noisy pixels too."
        ),
    ] = "usual",
    structure_only: Annotated[
        bool, typer.Option("--structure-only", help="A session of full size, 255 scenes, whose files are mostly holes.")
    ] = False,
) -> None:
    """Simulate a CADIP-like session (DSDB and DSIB files, GIPPs, DEM, meteo) with its truth."""
    from s2dask.instrument import BANDS, DETECTORS
    from s2dask.simulate.options import SimulationOptions
    from s2dask.simulate.session import simulate as run_simulation
    from s2dask.simulate.structure import StructureOptions, simulate_structure

    names = tuple(BANDS) if bands == "all" else tuple(bands.replace(" ", "").split(","))
    if structure_only:
        of = DETECTORS if detectors is None else tuple(_numbers(detectors, "--detectors"))
        typer.echo(simulate_structure(str(session), StructureOptions(scenes or 255, of, names, unit, seed)))
        return
    options = SimulationOptions.of(
        effects,
        detectors=tuple(_numbers(detectors or "6,7", "--detectors")),
        bands=names,
        scenes=scenes,
        window=window,
        unit=unit,
        seed=seed,
        aot=aot,
        water_vapour=water_vapour,
        geometry=None if geometry is None else str(geometry),
        codec=codec,
        lose_frames=lose_frames,
        bit_errors=bit_errors,
        **({} if dead_pixels is None else {"dead_pixels": dead_pixels}),
    )
    typer.echo(run_simulation(str(session), options))


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="L1C or L2A: SAFE (folder or zip), or Zarr of s2dask.")],
    target: Annotated[str, typer.Argument(help="The .zarr or .SAFE to make, or the folder to make it in.")],
    form: Annotated[str, typer.Option(help="Of a Zarr: eopf, as ESA's, or geozarr, with overviews.")] = "eopf",
) -> None:
    """Convert a product between SAFE and Zarr, the pixels unchanged."""
    from s2dask.production.convert import convert as convert_product

    typer.echo(convert_product(source, target, form))  # type: ignore[arg-type]  # checked there


@app.command()
def info(
    product: Annotated[str, typer.Argument(help="Zarr product, SAFE, or session (folder or URL).")],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    unit: UnitOption = None,
    orbit: OrbitOption = None,
) -> None:
    """Say what a product or a session is and holds."""
    from s2dask.production.description import describe, shown

    facts = describe(product, unit, orbit)
    if as_json:
        typer.echo(json.dumps(facts, indent=2, default=str))
        return
    for key, value in facts.items():
        typer.echo(f"{key:<30} {shown(value)}")


def main() -> None:
    """Run the command line; an error that s2dask raises on purpose is one line and an exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger("s2dask").addHandler(handler)
    try:
        app()
    except S2Error as error:
        sys.stderr.write(f"s2dask: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
