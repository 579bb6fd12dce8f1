"""``s2dask run``: a session or a product to delivered products; ``s2dask repeat``: a failure once more."""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s2dask.commands.cluster import Ca, Cert, Cluster, Key, Workers, connected
from s2dask.commands.processors import hand_over, load_processor
from s2dask.errors import ConfigurationError

if TYPE_CHECKING:
    from s2dask.production.chain import Summary

WITHHELD = 8
"""Exit code when a concluding check keeps a product from delivery."""
FAILED = 9
"""Exit code when a unit failed beside others that were delivered."""

Source = Annotated[str, typer.Argument(help="CADU session (folder or URL), or an L1B or L1C SAFE (folder or zip).")]
To = Annotated[str, typer.Option(help="Last level: L0, L1A, L1B, L1C or L2A.")]
Out = Annotated[str, typer.Option("--out", "-o", help="Where products appear: folder, or s3://bucket/prefix.")]
WorkFolder = Annotated[
    str | None,
    typer.Option(
        "--work", metavar="FOLDER", help="Local folder of the working stores, seen by all workers; default: OUT/.work."
    ),
]
Tile = Annotated[str | None, typer.Option(help="Only this tile, e.g. 28SCB.")]
Window = Annotated[str | None, typer.Option(help="x0,y0,width,height [m] inside the tile, multiples of 60.")]
Aux = Annotated[str | None, typer.Option(help="Folder of GIPPs, DEM, geoid, IERS and meteo; default: SESSION/aux.")]
Gaps = Annotated[
    bool, typer.Option("--allow-gaps", help="Go on without announced files that are not there; losses are counted.")
]
Follow = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Wait for a session that still arrives, decoding its files as they come, until nothing new came for "
        "so long.",
    ),
]
Keep = Annotated[
    bool, typer.Option("--keep", help="Keep working stores and packets; a repeated run makes only what is new.")
]
Unit = Annotated[str | None, typer.Option("--unit", help="Unit, for a session of EDRS: S2A, S2B, S2C or S2D.")]
Orbit = Annotated[int | None, typer.Option("--orbit", help="Absolute orbit, for a session of EDRS.")]
Kind = Annotated[
    str, typer.Option("--type", help="Datatake type (NOBS, VIC, RAW, DASC …): it says which levels are made.")
]
Granules = Annotated[
    int, typer.Option("--minimum-granules", help="Of a datastrip that goes beyond L0; the mission's rule: 48 or 36.")
]
Safe = Annotated[bool, typer.Option("--safe", help="With --to L0, L1A or L1B: deliver SAFE products too.")]
Profile = Annotated[
    str, typer.Option(help="Coding of a tile's images: s2-strict as ESA's, s2-fast (BYPASS) or htj2k (Part 15).")
]
TileSafe = Annotated[
    bool, typer.Option("--tile-safe/--no-tile-safe", help="Deliver tiles as SAFE too, or as Zarr alone.")
]
Report = Annotated[
    Path | None, typer.Option(help="Write Dask's page on the run: task stream, profile, bandwidth, memory (HTML).")
]
ZarrForm = Annotated[str, typer.Option(help="Of a tile's Zarr: eopf as ESA's, or geozarr with shards and overviews.")]
Interpolation = Annotated[
    str | None,
    typer.Option(
        help="Of L1C: bspline (bspline5, bspline7), bicubic, bilinear, nearest; default: that of GIP_RESPAR, else "
        "bspline."
    ),
]
Cut = Annotated[
    str, typer.Option(help="Which detector keeps an overlap: each to the middle, or the lower or higher number.")
]
NoiseGain = Annotated[
    bool, typer.Option("--noise-gain", help="Keep the variance gain of the interpolation as a layer of L1C.")
]
ToaUncertainty = Annotated[
    bool, typer.Option("--toa-uncertainty/--no-toa-uncertainty", help="Layers of how well L1C reflectance is known.")
]
Aerosol = Annotated[str, typer.Option(help="Aerosol of L2A: continental or maritime.")]
Surroundings = Annotated[
    bool, typer.Option("--surroundings/--no-surroundings", help="Correct L2A for the light of the neighbourhood.")
]
Slopes = Annotated[str, typer.Option(help="Correct L2A for slopes: auto (where they matter), on or off.")]
Cirrus = Annotated[bool, typer.Option("--cirrus", help="Take thin cirrus off in L2A.")]
Uncertainty = Annotated[
    bool, typer.Option("--uncertainty/--no-uncertainty", help="Layers of how well L2A reflectance is known.")
]
Policy = Annotated[
    str, typer.Option(help="A product of which a concluding check fails: withhold it, or deliver and flag it.")
]
Checklists = Annotated[str | None, typer.Option(help="Checklist file of your own (TOML) in place of that of s2dask.")]
QualityStore = Annotated[
    str | None, typer.Option(help="Store of indicators that every product goes to (folder or URL): see `qc trend`.")
]
LedgerUrl = Annotated[
    str | None,
    typer.Option("--ledger", help="Ledger: file or postgresql:// URL; default: a file among the working stores."),
]
Split = Annotated[
    int | None,
    typer.Option(
        metavar="SCENES", help="Make the images of so many scenes at a time, and remove them after their tiles."
    ),
]
History = Annotated[
    str | None,
    typer.Option(help="Add what its tasks cost to these measured runs (folder or URL): see `plan --history`."),
]
TraceFile = Annotated[
    str | None, typer.Option("--trace", help="Add a JSON line to this file when a unit begins and when it ends.")
]


def _corner(text: str | None) -> tuple[int, int, int, int] | None:
    if text is None:
        return None
    try:
        x0, y0, width, height = (int(part) for part in text.replace(" ", "").split(","))
    except ValueError:
        raise ConfigurationError(f"{text!r} is not four whole numbers", "--window", "separate by commas") from None
    return x0, y0, width, height


def run(
    source: Source,
    to: To = "L2A",
    out: Out = "products",
    work: WorkFolder = None,
    tile: Tile = None,
    window: Window = None,
    aux: Aux = None,
    workers: Workers = None,
    allow_gaps: Gaps = False,
    follow: Follow = None,
    keep: Keep = False,
    unit: Unit = None,
    orbit: Orbit = None,
    datatake_type: Kind = "NOBS",
    minimum_granules: Granules = 0,
    safe: Safe = False,
    jp2_profile: Profile = "s2-strict",
    tile_safe: TileSafe = True,
    zarr_form: ZarrForm = "eopf",
    interpolation: Interpolation = None,
    cut: Cut = "middle",
    noise_gain: NoiseGain = False,
    toa_uncertainty: ToaUncertainty = False,
    aerosol: Aerosol = "continental",
    surroundings: Surroundings = True,
    slopes: Slopes = "auto",
    cirrus: Cirrus = False,
    uncertainty: Uncertainty = True,
    quality_policy: Policy = "withhold",
    checklists: Checklists = None,
    quality_store: QualityStore = None,
    ledger: LedgerUrl = None,
    split: Split = None,
    trace: TraceFile = None,
    history: History = None,
    report: Report = None,
    cluster: Cluster = None,
    tls_ca: Ca = None,
    tls_cert: Cert = None,
    tls_key: Key = None,
    processor: Annotated[
        str | None, typer.Option(help="Have another version work: a name in the file of --processors.")
    ] = None,
    processors: Annotated[Path | None, typer.Option(help="TOML file that says where each version is.")] = None,
) -> None:
    """Process a session or a real L1B or L1C product; a run that was killed is repeated and goes on."""
    if processor is not None:
        hand_over(load_processor(processors, processor))
    from s2dask.production.chain import run as run_chain
    from s2dask.production.order import Corrections
    from s2dask.production.progress import terminal
    from s2dask.production.resampling import Resampling

    how = Resampling(interpolation, cut, noise_gain, toa_uncertainty)  # type: ignore[arg-type]  # checked there
    light = Corrections(aerosol, surroundings, slopes, cirrus, uncertainty)  # type: ignore[arg-type]  # checked there
    corner = _corner(window)
    leave_on_terminate()
    with connected(workers, cluster, (tls_ca, tls_cert, tls_key)) as client:
        typer.echo(f"dashboard {client.client.dashboard_link}")
        with terminal() as listener:
            summary = run_chain(
                source, to=to, out=out, scratch=work, tile=tile, window=corner, aux=aux, client=client,
                listener=listener, allow_gaps=allow_gaps, follow=follow, keep=keep, unit=unit, orbit=orbit,
                datatake_type=f"INS-{datatake_type.upper().removeprefix('INS-')}",
                formats=("zarr", "safe") if safe else ("zarr",), jp2_profile=jp2_profile, tile_safe=tile_safe,
                zarr_form=zarr_form, resampling=how, corrections=light, quality_policy=quality_policy,
                checklists=checklists, quality_store=quality_store, ledger=ledger, split=split, trace=trace,
                history=history, minimum_granules=minimum_granules, page=report,
            )  # fmt: skip
    _tell(summary)


def leave_on_terminate() -> None:
    """Have a polite end (SIGTERM) end this process as Ctrl-C does: what it holds is given back at once."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def _tell(summary: "Summary") -> None:
    for path in summary.products:
        typer.echo(path)
    for note in summary.notes():
        typer.echo(note, err=True)
    if summary.withheld:
        sys.exit(WITHHELD)
    if summary.failed:
        sys.exit(FAILED)


def repeat(
    bundle: Annotated[Path, typer.Argument(help="Folder logs_FAILURE_… that a failed unit has left.")],
    workers: Workers = 1,
) -> None:
    """Run a unit that failed of a bug once more, with what it was given then."""
    from s2dask.cluster.local import local_client
    from s2dask.production.chain import repeat as repeat_unit

    with local_client(workers, dashboard=False) as client:
        typer.echo(json.dumps(repeat_unit(bundle, client), indent=1, default=str))
