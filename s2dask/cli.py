"""The command line: arguments only, the work is done elsewhere."""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from s2dask.commands import level0, lut, qc
from s2dask.errors import ConfigurationError, S2Error

app = typer.Typer(
    name="s2dask",
    help="Sentinel-2 from telemetry frames to surface reflectance, on Dask.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(level0.app)
app.add_typer(lut.app)
app.add_typer(qc.app)

WITHHELD = 8
"""Exit code when a concluding check keeps a product from delivery."""
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
    detectors: Annotated[str, typer.Option(help="Detectors, 1 to 12.")] = "6,7",
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
            help="Of the instrument: usual, or all: on-board equalisation, staggered SWIR lines, optical crosstalk, "
            "dead and noisy pixels."
        ),
    ] = "usual",
) -> None:
    """Simulate a CADIP-like session (DSDB and DSIB files, GIPPs, DEM, meteo) with its truth."""
    from s2dask.instrument import BANDS
    from s2dask.simulate.options import SimulationOptions
    from s2dask.simulate.session import simulate as run_simulation

    names = tuple(BANDS) if bands == "all" else tuple(bands.replace(" ", "").split(","))
    options = SimulationOptions.of(
        effects,
        detectors=tuple(_numbers(detectors, "--detectors")),
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
def run(
    source: Annotated[str, typer.Argument(help="CADU session (folder or URL), or an L1C SAFE (folder or zip).")],
    to: Annotated[str, typer.Option(help="Last level: L0, L1A, L1B, L1C or L2A.")] = "L2A",
    out: Out = Path("products"),
    tile: Annotated[str | None, typer.Option(help="Only this tile, e.g. 28SCB.")] = None,
    window: Annotated[str | None, typer.Option(help="x0,y0,width,height [m] inside the tile, multiples of 60.")] = None,
    aux: Annotated[
        str | None, typer.Option(help="Folder of GIPPs, DEM, geoid, IERS and meteo; default: SESSION/aux.")
    ] = None,
    workers: Workers = None,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Go on without announced files that are not there; losses are counted.")
    ] = False,
    follow: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Wait for a session that still arrives, decoding its files as they come, until nothing new came for "
            "so long.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep working stores and packets; a repeated run decodes only what is new.")
    ] = False,
    unit: UnitOption = None,
    orbit: OrbitOption = None,
    datatake_type: Annotated[
        str, typer.Option("--type", help="Datatake type (NOBS, VIC, RAW, DASC …): it says which levels are made.")
    ] = "NOBS",
    safe: Annotated[bool, typer.Option("--safe", help="With --to L0, L1A or L1B: deliver SAFE products too.")] = False,
    jp2_profile: Annotated[
        str,
        typer.Option(help="Coding of a tile's images: s2-strict as ESA's, s2-fast (BYPASS) or htj2k (Part 15)."),
    ] = "s2-strict",
    zarr_form: Annotated[
        str, typer.Option(help="Of a tile's Zarr: eopf as ESA's, or geozarr with shards and overviews.")
    ] = "eopf",
    interpolation: Annotated[
        str | None,
        typer.Option(
            help="Of L1C: bspline (bspline5, bspline7), bicubic, bilinear, nearest; default: that of GIP_RESPAR, else "
            "bspline."
        ),
    ] = None,
    cut: Annotated[
        str, typer.Option(help="Which detector keeps an overlap: each to the middle, or the lower or higher number.")
    ] = "middle",
    noise_gain: Annotated[
        bool, typer.Option("--noise-gain", help="Keep the variance gain of the interpolation as a layer of L1C.")
    ] = False,
    aerosol: Annotated[str, typer.Option(help="Aerosol of L2A: continental or maritime.")] = "continental",
    surroundings: Annotated[
        bool, typer.Option("--surroundings/--no-surroundings", help="Correct L2A for the light of the neighbourhood.")
    ] = True,
    slopes: Annotated[str, typer.Option(help="Correct L2A for slopes: auto (where they matter), on or off.")] = "auto",
    cirrus: Annotated[bool, typer.Option("--cirrus", help="Take thin cirrus off in L2A.")] = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty/--no-uncertainty", help="Layers of how well L2A reflectance is known.")
    ] = True,
    quality_policy: Annotated[
        str, typer.Option(help="A product of which a concluding check fails: withhold it, or deliver and flag it.")
    ] = "withhold",
    checklists: Annotated[
        str | None, typer.Option(help="Checklist file of your own (TOML) in place of that of s2dask.")
    ] = None,
) -> None:
    """Process a session or a real L1C product."""
    from s2dask.cluster.local import local_client
    from s2dask.production.chain import run as run_chain
    from s2dask.production.order import Corrections
    from s2dask.production.progress import terminal
    from s2dask.production.resampling import Resampling

    corner = None
    if window is not None:
        x0, y0, width, height = _numbers(window, "--window", 4)
        corner = (x0, y0, width, height)
    how = Resampling(interpolation, cut, noise_gain)  # type: ignore[arg-type]  # checked there
    with local_client(workers) as client:
        typer.echo(f"dashboard {client.dashboard_link}")
        with terminal() as listener:
            summary = run_chain(
                source, to=to, out=str(out), tile=tile, window=corner, aux=aux, client=client, listener=listener,
                allow_gaps=allow_gaps, follow=follow, keep=keep, unit=unit, orbit=orbit,
                datatake_type=f"INS-{datatake_type.upper().removeprefix('INS-')}",
                formats=("zarr", "safe") if safe else ("zarr",), jp2_profile=jp2_profile, zarr_form=zarr_form,
                resampling=how,
                corrections=Corrections(aerosol, surroundings, slopes, cirrus, uncertainty),  # type: ignore[arg-type]
                quality_policy=quality_policy, checklists=checklists,
            )  # fmt: skip
    for path in summary.products:
        typer.echo(path)
    for note in summary.notes():
        typer.echo(note, err=True)
    if summary.withheld:
        sys.exit(WITHHELD)


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


Strip = Annotated[Path, typer.Argument(help="Metadata of an L0 or L1B datastrip (XML), or the folder of the product.")]
Gipp = Annotated[Path | None, typer.Option(help="Folder of GIPPs (.xml, .DBL, .TGZ).")]
Dem = Annotated[Path | None, typer.Option(help="Elevation rasters; default: the ground is the geoid.")]
Geoid = Annotated[Path | None, typer.Option(help="Raster of the geoid; default: heights are ellipsoidal.")]
Iers = Annotated[Path | None, typer.Option(help="Bulletin A; default: the constants of the metadata.")]
ViewingMode = Annotated[str, typer.Option(help="smooth, or sxgeo: the reference processor to its jumps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@app.command()
def tiles(
    datastrip: Strip,
    gipp: Gipp = None,
    dem: Dem = None,
    geoid: Geoid = None,
    iers: Iers = None,
    mode: ViewingMode = "smooth",
    as_json: AsJson = False,
) -> None:
    """List the tiles that a datastrip touches, with their UTM corners."""
    from s2dask.production import ground as on_ground

    if gipp is None:
        footprint = on_ground.declared_footprint(datastrip)
    else:
        ground = on_ground.open_ground(datastrip, gipp, dem, geoid, iers, mode)  # type: ignore[arg-type]  # checked there
        footprint = on_ground.strip_footprint(ground)
        _say_assumed(ground.assumed)
    found = on_ground.tile_list(footprint)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for tile in found:
        typer.echo("{tile}  {crs}  UL {ulx:.0f} {uly:.0f}  LR {lrx:.0f} {lry:.0f}".format(**tile))


@app.command()
def locate(
    datastrip: Strip,
    band: Annotated[str, typer.Argument(help="B01 … B8A … B12.")],
    detector: Annotated[int, typer.Argument(help="1 to 12.")],
    line: Annotated[float | None, typer.Option(help="0-based, whole numbers at pixel centres.")] = None,
    column: Annotated[float | None, typer.Option(help="0-based.")] = None,
    lon: Annotated[float | None, typer.Option(help="[degree]")] = None,
    lat: Annotated[float | None, typer.Option(help="[degree]")] = None,
    height: Annotated[float | None, typer.Option(help="Ellipsoidal [m]; default: that of the terrain.")] = None,
    gipp: Gipp = None,
    dem: Dem = None,
    geoid: Geoid = None,
    iers: Iers = None,
    mode: ViewingMode = "smooth",
    as_json: AsJson = False,
) -> None:
    """Look up where a pixel lies on the ground (--line --column), or which pixel sees a place (--lon --lat)."""
    from s2dask.production import ground as on_ground

    if gipp is None:
        raise ConfigurationError("no viewing directions", "--gipp", "give the folder of the GIPPs")
    ground = on_ground.open_ground(datastrip, gipp, dem, geoid, iers, mode)  # type: ignore[arg-type]  # checked there
    _say_assumed(ground.assumed)
    if line is not None and column is not None and lon is lat is None:
        found = on_ground.place_of(ground, band, detector, line, column)
    elif lon is not None and lat is not None and line is column is None:
        found = on_ground.pixel_of(ground, band, detector, lon, lat, height)
    else:
        raise ConfigurationError("two coordinates are needed", "locate", "--line and --column, or --lon and --lat")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        typer.echo(f"{key:<10}{value:.9f}" if isinstance(value, float) else f"{key:<10}{value}")


def _say_assumed(assumed: Sequence[str]) -> None:
    for what in assumed:
        typer.echo(f"assumed: {what}", err=True)


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
