"""``s2dask l0``: what files of the space link and of Level 0 hold."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(name="l0", help="Look into sessions, frames and packets.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
_ROWS = 5


def _packet_line(row: dict[str, Any]) -> str:
    source = (
        f"D{row['detector']:02d} {row['band']}" if "detector" in row else f"SID {row['sid']}" if "sid" in row else ""
    )
    return (
        f"{row['number']:>7} {row['apid']:>5} {source:<8} {row['sequence']:>6} {row['time'] or '-':<27} "
        f"{row['size']:>6}  {row['crc']}"
    )


@app.command()
def packets(
    file: Annotated[Path, typer.Argument(help="Band or SAD file (.bin) of a Level-0 product.")], as_json: Json = False
) -> None:
    """List the packets of an L0 band or SAD file: APID, sequence, time, sizes, checksum."""
    from s2dask.production.packet_list import list_packets

    facts = list_packets(file)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    rows, totals = facts["packets"], facts["totals"]
    typer.echo(f"{'number':>7} {'apid':>5} {'source':<8} {'count':>6} {'time (UTC)':<27} {'bytes':>6}  checksum")
    for row in rows[:_ROWS]:
        typer.echo(_packet_line(row))
    if len(rows) > 2 * _ROWS:
        typer.echo(f"{'...':>7}")
    for row in rows[max(_ROWS, len(rows) - _ROWS) :]:
        typer.echo(_packet_line(row))
    typer.echo(
        f"{totals['packets']} {facts['kind']} packets, {totals['bytes']} bytes: checksum good {totals['crc_good']}, "
        f"bad {totals['crc_bad']}, cut short {totals['cut']}"
    )
    for apid, of in totals["apids"].items():
        lost = f", lost {of['lost']}, degraded {of['degraded']}, repeated {of['repeated']}" if "lost" in of else ""
        typer.echo(f"APID {apid} ({of['kind']}): {of['packets']} packets{lost}")


@app.command()
def frames(
    file: Annotated[Path, typer.Argument(help="CADUs of any mission: length, code and randomiser are found.")],
    as_json: Json = False,
) -> None:
    """Say what a file of frames holds: format, errors, slips, gaps per virtual channel, packets per APID."""
    from s2dask.production.frame_report import frame_lines, report_frames

    facts = report_frames(file)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for line in frame_lines(facts):
        typer.echo(line)


def _session_lines(facts: dict[str, Any]) -> list[str]:
    orbit = f", orbit {facts['absolute_orbit']} (R{facts['relative_orbit']:03d})" if "absolute_orbit" in facts else ""
    state = "complete" if facts["complete"] else f"{facts['present_files']} of {facts['announced_files']} files"
    lines = [f"session {facts['session']}: {facts['unit']}{orbit}, {state}"]
    for what in ("missing", "damaged", "late", "duplicates", "retransferred", "unannounced"):
        lines += [f"  {what}: {item if isinstance(item, str) else ': '.join(item)}" for item in facts[what]]
    for number, c in facts["channels"].items():
        lines.append(
            f"channel {number}: {c['files']} files, {c.get('frames', 0)} frames, "
            f"corrected {c.get('corrected_frames', 0)}, uncorrectable {c.get('uncorrectable_frames', 0)}, "
            f"lost with missing files {c['missing_file_frames']}"
        )
    for number, v in facts["virtual_channels"].items():
        lines.append(
            f"  VC {number}: {v['frames']} frames, {len(v['gaps'])} gaps, {v['missing_frames']} missing, "
            f"{v['duplicate_frames']} twice, {v['packets']} packets"
        )
    for apid, a in facts["apids"].items():
        source = f"D{a['detector']:02d} {a['band']:<4}" if "detector" in a else "SAD     "
        lines.append(f"  APID {apid:>4} {source} {a['packets']:>8} packets, {a['bad_checksum']} with a bad checksum")
    for strip in facts["datastrips"]:
        made = ", ".join(f"{k} {'by tiles' if n is None else n}" for k, n in strip["expected_products"].items())
        lines.append(
            f"datastrip {strip['sensing_start']}: {strip['scenes']} scenes, {len(strip['detectors'])} detectors, "
            f"{len(strip['bands'])} bands, {strip['codec']}, lost {strip['lost_packets']}, "
            f"degraded {strip['degraded_packets']} packets"
        )
        lines.append(f"  type {facts['datatake_type'] or 'unknown'}: {made}")
    return [*lines, f"problem: {facts['problem']}"] if facts["problem"] else lines


@app.command()
def info(
    session: Annotated[str, typer.Argument(help="Folder or URL of a CADU session.")],
    as_json: Json = False,
    datatake_type: Annotated[
        str | None, typer.Option("--type", help="Datatake type (NOBS, VIC, RAW …), which telemetry does not tell.")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Unit, for a session of EDRS.")] = None,
    orbit: Annotated[int | None, typer.Option(help="Absolute orbit, for a session of EDRS.")] = None,
) -> None:
    """Show channels, virtual channels, gaps, packets, scenes and expected products of a session."""
    from s2dask.production.session_info import session_info

    facts = session_info(session, datatake_type, unit, orbit=orbit)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for line in _session_lines(facts):
        typer.echo(line)


@app.command()
def quicklook(
    datastrip: Annotated[str, typer.Argument(help="L0 datastrip (Zarr), as made by `s2dask run SESSION --to L0`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write (PNG).")] = Path("quicklook.png"),
    aux: Annotated[str | None, typer.Option(help="Folder of auxiliary files; default: the session's.")] = None,
) -> None:
    """Draw all detectors of an L0 datastrip on the ground, with footprints and preliminary clouds."""
    from s2dask.production.quicklook import quicklook as draw

    made = draw(datastrip, aux, str(out))
    typer.echo(out)
    for granule in made.location["granules"]:
        typer.echo(f"D{granule['detector']:02d} scene {granule['scene']}: {granule['cloud']:.1f} % clouds")
