"""The seeded-defect set: its kinds, what comes of them beside clean runs, and the table of docs/quality.md.

``python tests/defects_table.py [WORK]`` makes it all and writes the table; the sessions stay in the folder WORK.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import defects_instrument as instrument
import defects_link as link_kinds
import defects_product as product
import defects_surface as surface
import defects_tile as tile_kinds
from defects_link import link_kind, same_packets
from defects_model import Bench, Verdict, build, link, pair, whole
from defects_product import in_product

DOCUMENT = Path(__file__).parents[1] / "docs" / "quality.md"
BEGIN, END = "<!-- seeded defects: begin -->", "<!-- seeded defects: end -->"
REFUSED, MENDED = "refused", "mended"
BENCHES = {"link": (link, "L0", 5), "whole": (whole, "L2A", 8), "pair": (pair, "L1C", 3)}
"""Sessions by name: their options by seed, the last level, and how many of them are made without defect."""
SEEDS = (1, 2)
"""Of the sessions that every kind is seeded into."""


@dataclass(frozen=True)
class Kind:
    """A kind of defect.

    Attributes
    ----------
    name, level, bench : str
        Level of the products in which it has to be noticed, and the session that it is seeded into.
    run : callable
        Returns what the checks say.
    checks : tuple of str
        Those that must notice: ids, or that the input is refused, or that the product is what it was; none: nothing is
        known to notice it.
    """

    name: str
    level: str
    bench: str
    run: Callable[[Bench, Path], Verdict]
    checks: tuple[str, ...] = ()


def _link(name: str, seed: link_kinds.Seed, *checks: str) -> Kind:
    return Kind(name, "L0", "link", (same_packets if MENDED in checks else link_kind)(seed), checks)


def _l1b(name: str, run: Callable[[Bench, Path], Verdict], *checks: str) -> Kind:
    return Kind(name, "L1B", "whole", run, checks)


def _l1c(name: str, run: Callable[[Bench, Path], Verdict], *checks: str, bench: str = "whole") -> Kind:
    return Kind(name, "L1C", bench, run, checks)


def _l2a(name: str, run: Callable[[Bench, Path], Verdict], *checks: str) -> Kind:
    return Kind(name, "L2A", "whole", run, checks)


def _safe(name: str, damage: product.Damage, *checks: str, level: str = "L1C") -> Kind:
    return Kind(f"SAFE: {name}", level, "whole", in_product(level, damage), checks)


KINDS = (
    _link("five frames lost", link_kinds.lost_frames, "Lost_Packets"),
    _link("400 symbols wrong in each of four frames", link_kinds.beyond_correction, "Uncorrectable_Frames",
          "Lost_Packets"),
    _link("most of a scene of a detector lost", link_kinds.lost_scene, "Lost_Packets"),
    _link("clock half a second late from one packet on", link_kinds.clock_jump, "Lost_Packets"),
    _link("a file missing", link_kinds.missing_file, REFUSED),
    _link("a file cut short", link_kinds.truncated_file, REFUSED),
    _link("a file of noise", link_kinds.foreign_file, REFUSED),
    _link("DSIB cut short", link_kinds.broken_dsib, REFUSED),
    _link("a file delivered twice", link_kinds.doubled_file, MENDED),
    _link("files in wrong order", link_kinds.wrong_order, MENDED),
    _link("orbit and attitude of a third of the pass lost", link_kinds.lost_attitude, "Ancillary_Adequacy"),
    _l1b("column without response, not listed", instrument.DEAD, "Bad_Columns"),
    _l1b("listed dead pixel missing in GIP_R2DEPI", instrument.UNLISTED, "Bad_Columns"),
    _l1b("column stuck in the middle of the range", instrument.STUCK, "Bad_Columns"),
    _l1b("column 6 % too bright", instrument.HOT, "Bad_Columns"),
    _l1b("odd/even step of 0.8 %", instrument.ODD_EVEN, "Odd_Even_Step"),
    _l1b("offset drifts by 8 LSB", instrument.DRIFT, "Blind_Pixel_Offset"),
    _l1b("dark signal in GIP_R2EQOG 12 LSB too low", instrument.OLD_DARK_LEVEL, "Blind_Pixel_Offset"),
    _l1b("offset of the blind pixels of one side", instrument.SIDES, "Blind_Pixel_Residual"),
    _l1b("GIP_R2EQOG with the dark signal of another detector", instrument.WRONG_DARK, "Stripe_Index"),
    _l1b("GIP_R2EQOG with the response of another detector", instrument.WRONG_RESPONSE, "Stripe_Index"),
    _l1b("crosstalk from B11 to B10 thrice as told", instrument.more_crosstalk, "Ghost_Index"),
    _l1b("crosstalk left: GIP_R2CRCO of zeros", instrument.no_crosstalk_correction, "Ghost_Index"),
    _l1b("noise doubled", instrument.NOISE, "Signal_To_Noise"),
    _l1b("half of a band saturated", instrument.SATURATED, "Saturated_Bands"),
    _l1b("packets of a band lost", instrument.lost_packets, "Missing_Lines", "Data_Loss"),
    _l1b("two packets of a band swapped", instrument.wrong_packets, "Missing_Lines", "Data_Loss"),
    _l1c("gain of one detector 8 % high", tile_kinds.GAIN_OF_ONE_DETECTOR, "Detector_Step", bench="pair"),
    _l1c("gain of one band 3 % high in all detectors", tile_kinds.GAIN_OF_ONE_BAND),
    _l1c("gains of GIP_R2ABCA 3 % high", tile_kinds.WRONG_GAIN),
    _l1c("GIP_VIEDIR of a 10 m band one pixel off", tile_kinds.WRONG_DIRECTIONS, "Band_Shift"),
    _l1c("GIP_VIEDIR of a SWIR band one pixel off", tile_kinds.WRONG_DIRECTIONS_20, "Band_Shift"),
    _l1c("attitude told 40 µrad off, with a reference image", tile_kinds.ATTITUDE, "Geolocation_Error"),
    _l1c("attitude told 40 µrad off, without one", tile_kinds.attitude_alone),
    _l1c("line dates 5 ms late", tile_kinds.LATE_DATES, "Geolocation_Error"),
    _l1c("no DEM", tile_kinds.NO_DEM, REFUSED),
    _l1c("DEM with voids", tile_kinds.DEM_NAN, REFUSED),
    _l1c("DEM of the sea in place of land", tile_kinds.SEA, "Band_Shift"),
    _l1c("DEM 5 km off", tile_kinds.DEM_SHIFTED, "Band_Shift"),
    _l1c("DEM in feet", tile_kinds.DEM_IN_FEET, "Band_Shift"),
    _l1c("every tenth line of a band without data", tile_kinds.HOLES, "Footprint_Holes"),
    _l1c("chunk of the image of a band lost", tile_kinds.LOST_CHUNK, "Footprint_Holes"),
    _l1c("offset applied twice", tile_kinds.LIFTED, "Radiometric_Offset"),
    _l1c("E0 of a band in GIP_R2ABCA 3 % high", tile_kinds.WRONG_IRRADIANCE, "Solar_Irradiance_Deviation"),
    _l1c("sun of a date two months later", tile_kinds.WRONG_DATE, "Reflectance_Conversion_Deviation"),
    _l2a("water vapour forecast 2.5 times too high", surface.forecast(water_vapour=2.5), "WV_Against_ECMWF"),
    _l2a("water vapour forecast at 0.3 of the truth", surface.forecast(water_vapour=0.3), "WV_Against_ECMWF"),
    _l2a("aerosol forecast five times too high", surface.forecast(aot=5.0), "AOT_Against_CAMS"),
    _l2a("ozone forecast of 150 DU", surface.ozone(150.0), "Ozone_Range"),
    _l2a("ozone forecast in another unit", surface.ozone(5.0), REFUSED),
    _l2a("weather file cut short", surface.cut_forecast, REFUSED),
    _l2a("no cloud is found", surface.ALL_CLEAR, "Cloud_Against_L1C"),
    _l2a("everything is a cloud", surface.ALL_CLOUD, "Cloud_Excess"),
    _l2a("everything bare is vegetation", surface.ALL_VEGETATION, "SCL_Consistency"),
    _l2a("everything is snow", surface.ALL_SNOW, "SCL_Consistency"),
    _l2a("visible bands 0.08 too dark: negative reflectance", surface.DARKENED, "Negative_Reflectance"),
    _l2a("offset subtracted twice", surface.OFFSET_TWICE, "Negative_Reflectance"),
    _safe("an image missing", product.missing_image, "hrefExist"),
    _safe("an image of another band's size", product.image_of_other_size, "Granule_Dimensions_10m"),
    _safe("an image cut short", product.truncated_image, "File_Sizes", "Image_Codestreams"),
    _safe("an image cut short", product.truncated_image, "File_Sizes", "Image_Codestreams", level="L2A"),
    _safe("an image cut short, without manifest", product.truncated_alone, "Image_Codestreams"),
    _safe("an image without bytes", product.emptied_image, "File_Sizes"),
    _safe("bits of an image flipped", product.altered_image, "File_Checksums"),
    _safe("metadata of the tile cut short", product.broken_metadata, "checkMetadata", "File_Sizes"),
    _safe("a number in the metadata altered", product.altered_metadata, "File_Checksums"),
    _safe("metadata of the datastrip missing", product.missing_metadata, "hrefExist"),
    _safe("manifest missing", product.no_manifest, "checkSafeManifest"),
    _safe("a file that does not belong there", product.strange_file, "extraData"),
)  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """What came of a kind in one session: which of its checks noticed it, and which others did too."""

    kind: Kind
    seed: int
    noticed: frozenset[str]
    others: frozenset[str]
    said: str


def trial(kind: Kind, bench: Bench, seed: int, kept: Path | None = None) -> Trial:
    """Seed a kind into a session; what is made stays in the folder `kept`."""
    if kept is None:
        with tempfile.TemporaryDirectory(dir=bench.session.parent) as folder:
            return trial(kind, bench, seed, Path(folder))
    found = kind.run(bench, kept)
    before = set(bench.clean.failed)
    new = {name.split()[1]: text for name, text in found.failed.items() if name not in before}
    if found.refused:
        word = MENDED if found.refused == MENDED else REFUSED
        new[word] = found.refused
    noticed = frozenset(new) & frozenset(kind.checks)
    said = "; ".join(new[name] for name in sorted(noticed or new))
    return Trial(kind, seed, noticed, frozenset(new) - noticed, said)


def benches(work: Path, name: str, count: int | None = None) -> list[Bench]:
    """Make the clean sessions of a name."""
    options, to, number = BENCHES[name]
    return [build(work / f"{name}{seed}", options(seed), to) for seed in range(1, 1 + (count or number))]


def trials(
    made: dict[str, list[Bench]],
    kinds: Sequence[Kind] = KINDS,
    seeds: Sequence[int] = SEEDS,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Trial]:
    """Seed kinds into sessions."""
    out = []
    for kind in kinds:
        for seed in seeds:
            out.append(trial(kind, made[kind.bench][seed - 1], seed))
            told = out[-1]
            tell(f"{kind.level} {kind.name} [{seed}]: {sorted(told.noticed)} {sorted(told.others)} {told.said}")
    return out


def _share(part: int, of: int) -> str:
    return f"{part} of {of}"


def kind_rows(found: Sequence[Trial]) -> list[str]:
    """Return the table of the kinds."""
    rows = ["| defect | noticed at | by | noticed |", "|---|---|---|---|"]
    for kind in dict.fromkeys(t.kind for t in found):
        own = [t for t in found if t.kind == kind]
        by = ", ".join(c if c in (REFUSED, MENDED) else f"`{c}`" for c in kind.checks) or "no check"
        others = sorted({name for t in own for name in t.others} - set(kind.checks))
        also = f"; also {', '.join(f'`{name}`' for name in others)}" if others and kind.checks else ""
        full = sum(set(kind.checks) <= t.noticed for t in own if kind.checks)
        rows.append(f"| {kind.name} | {kind.level} | {by}{also} | {_share(full, len(own))} |")
    return rows


def check_rows(found: Sequence[Trial], made: dict[str, list[Bench]]) -> list[str]:
    """Return the table of the checks: seeded and noticed, and alarms without a defect."""
    rows = ["| check | noticed of seeded | false alarms of clean runs |", "|---|---|---|"]
    clean = [bench.clean for group in made.values() for bench in group]
    names = {(k.level, c) for k in KINDS for c in k.checks if c not in (REFUSED, MENDED) and "SAFE" not in k.name}
    names |= {(level, c) for v in clean for level, c in (name.split() for name in v.failed)}
    for level, name in sorted(names):
        seeded = [t for t in found if name in t.kind.checks and t.kind.level == level]
        runs = [v for v in clean if f"{level} {name}" in v.made]
        alarms = sum(f"{level} {name}" in v.failed for v in runs)
        noticed = sum(name in t.noticed for t in seeded)
        rows.append(f"| `{name}` ({level}) | {_share(noticed, len(seeded))} | {_share(alarms, len(runs))} |")
    return rows


def write(rows: Sequence[str], document: Path = DOCUMENT) -> None:
    """Put rows between the marks of the document."""
    text = document.read_text("utf-8")
    block = "\n".join((BEGIN, *rows, END))
    document.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: block, text, flags=re.DOTALL), "utf-8")


def stated(document: Path = DOCUMENT) -> dict[str, tuple[int, int]]:
    """Return what the document states of each kind, by level and name: noticed and seeded."""
    rows = re.findall(r"^\| (.+?) \| (L\w+) \| .+? \| (\d+) of (\d+) \|$", document.read_text("utf-8"), re.MULTILINE)
    return {f"{level} {name}": (int(a), int(b)) for name, level, a, b in rows}


def stated_alarms(text: str | None = None) -> dict[str, int]:
    """Return the false alarms of each check in clean runs, of the document or of the rows of a table."""
    text = DOCUMENT.read_text("utf-8") if text is None else text
    rows = re.findall(r"^\| `(\w+)` \((L\w+)\) \| \d+ of \d+ \| (\d+) of \d+ \|$", text, re.MULTILINE)
    return {f"{level} {name}": int(alarms) for name, level, alarms in rows}


def main(work: Path) -> None:
    """Make everything and write the table."""
    made = {name: benches(work, name) for name in BENCHES}
    found = trials(made, tell=print)
    write([*kind_rows(found), "", *check_rows(found, made)])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        folder = Path(tempfile.mkdtemp())
        main(folder)
        shutil.rmtree(folder)
