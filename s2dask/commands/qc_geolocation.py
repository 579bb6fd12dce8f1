"""``s2dask qc geolocation``: where a product lies against a reference image."""

import json
from typing import Annotated

import typer


def geolocation(
    product: Annotated[str, typer.Argument(help="L1C product: Zarr of s2dask, or SAFE (folder or zip).")],
    reference: Annotated[str, typer.Option(help="Raster that GDAL reads: a GRI image, or B04 of another date.")],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Measure the location error of B04 by phase correlation of patches: median over the tile, and 95 % of them."""
    from s2dask.production.reference_image import measure_location

    found = measure_location(product, reference)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    east, north = found["geolocation_east"], found["geolocation_north"]
    typer.echo(f"{found['geolocation_error']:.2f} m off: {east:+.2f} m east, {north:+.2f} m north")
    ce95, patches = found["geolocation_ce95"], found["geolocation_patches"]
    typer.echo(f"95 % of {patches:.0f} patches within {ce95:.2f} m")


def register(app: typer.Typer) -> None:
    """Add the command to ``s2dask qc``."""
    app.command()(geolocation)
