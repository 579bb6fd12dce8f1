"""``s2dask qc mtf``: how sharp the images of a product are."""

import json
from typing import Annotated

import typer


def mtf(
    product: Annotated[str, typer.Argument(help="L1C product: Zarr of s2dask, or SAFE (folder or zip).")],
    band: Annotated[list[str] | None, typer.Option(help="Only this band; may be given again.")] = None,
    store: Annotated[
        str, typer.Option("--store", "-s", help="Folder or URL of the indicators that keeps what is found.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Measure the modulation transfer at the Nyquist frequency from straight edges: median of the edges of a band."""
    from s2dask.production.edge_sharpness import keep_transfer, measure_transfer

    found = measure_transfer(product, band or ())
    if store and found:
        keep_transfer(product, found, store)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, told in found.items():
        more = [f"{what} {told[f'mtf_{what}']:.3f}" for what in ("across", "along") if f"mtf_{what}" in told]
        parts = ", ".join([*more, f"{told['mtf_edges']:.0f} edges"])
        typer.echo(f"{name}  {told['mtf_nyquist']:.3f} ± {told['mtf_error']:.3f}  ({parts})")
    if not found:
        typer.echo("too few straight edges between even fields")


def register(app: typer.Typer) -> None:
    """Add the command to ``s2dask qc``."""
    app.command()(mtf)
