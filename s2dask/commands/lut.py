"""``s2dask lut``: build the tables of radiative transfer, and look into them."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="lut", help="The tables of radiative transfer of Level-2A.", no_args_is_help=True)

Aerosol = Annotated[str, typer.Option(help="Aerosol model: continental, maritime or urban.")]


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tables, and for columns already solved.")],
    reference: Annotated[
        Path,
        typer.Option(
            envvar="S2DASK_REFERENCE_DATA",
            help="Folder with l2a/srf/S2?_MSI_V4.txt (ESA's spectral responses, COPE-GSEG-EOPG-TN-15-0007 v4.0: two "
            "columns per band) and l2a/solar/Thuillier2003.txt.bz2 (two columns).",
        ),
    ],
    aerosol: Aerosol = "continental",
    units: Annotated[str, typer.Option(help="Units to average over the bands of.")] = "S2A,S2B,S2C",
    workers: Annotated[int, typer.Option("--workers", "-w", help="Processes.")] = 1,
) -> None:
    """Build the tables of one aerosol model, about ten minutes of one core; needs the extra `lut` (sasktran2).

    A build that was cut short goes on where it was.
    """
    from s2dask.lut.build import build_tables

    names = tuple(units.replace(" ", "").split(","))
    for path in build_tables(aerosol, names, out, reference / "l2a", workers):
        typer.echo(path)


@app.command(name="eval")
def evaluate(
    unit: Annotated[str, typer.Option(help="S2A, S2B, S2C or S2D (which takes the table of S2C).")],
    band: Annotated[str, typer.Option(help="B01 to B12, B8A.")],
    sza: Annotated[float, typer.Option(help="Sun zenith angle [deg], 0 to 80.")],
    vza: Annotated[float, typer.Option(help="View zenith angle [deg], 0 to 15.")],
    raa: Annotated[float, typer.Option(help="Sun minus view azimuth [deg]; 0 = backscatter, the sun behind.")],
    aot: Annotated[float, typer.Option(help="Aerosol optical thickness at 550 nm, 0 to 2.")],
    pressure: Annotated[float, typer.Option(help="Of the air at the ground [hPa], 300 to 1080.")],
    aerosol: Aerosol = "continental",
    tables: Annotated[Path | None, typer.Option(help="Folder of tables of your own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Print path reflectance, transmittances down and up, and spherical albedo: scattering without gases.

    A relative azimuth of 0 is backscatter: sun and satellite on the same side of the target.
    """
    from s2dask.l2a.lut import transfer

    found = transfer(
        unit, band, sza, vza, raa, aot, pressure, aerosol=aerosol, folder=None if tables is None else str(tables)
    )
    facts = {
        "path_reflectance": float(found.path),
        "transmittance_down": float(found.down),
        "transmittance_up": float(found.up),
        "spherical_albedo": float(found.spherical_albedo),
        "direct_transmittance_down": float(found.direct_down),
        "direct_transmittance_up": float(found.direct_up),
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):<27} {value:.6f}")
