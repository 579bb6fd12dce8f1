"""``s2dask tiles`` and ``s2dask locate``: where a datastrip lies on the ground."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from s2dask.errors import ConfigurationError

Strip = Annotated[Path, typer.Argument(help="Metadata of an L0 or L1B datastrip (XML), or the folder of the product.")]
Gipp = Annotated[Path | None, typer.Option(help="Folder of GIPPs (.xml, .DBL, .TGZ).")]
Dem = Annotated[Path | None, typer.Option(help="Elevation rasters; default: the ground is the geoid.")]
Geoid = Annotated[Path | None, typer.Option(help="Raster of the geoid; default: heights are ellipsoidal.")]
Iers = Annotated[Path | None, typer.Option(help="Bulletin A; default: the constants of the metadata.")]
ViewingMode = Annotated[str, typer.Option(help="smooth, or sxgeo: the reference processor to its jumps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


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
