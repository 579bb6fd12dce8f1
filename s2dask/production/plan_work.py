"""Which tasks a unit will have, and of what size: the graphs of `s2dask.production.levels`, counted before they exist.

`works` of a unit stand in stages: those of one stage run side by side, the next begins when all of it has ended.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from s2dask.graph.cost import Work
from s2dask.instrument import BANDS, band
from s2dask.io.grids import TileGrid
from s2dask.io.schema_tile import L2A_BANDS
from s2dask.production.blocks import Blocking, default_blocking

Delivery = Literal["s2-strict", "s2-fast", "htj2k", "zarr"]
DELIVERIES: Final = ("s2-strict", "s2-fast", "htj2k", "zarr")
"""JPEG 2000 profile of the SAFE that is delivered beside the Zarr, or the Zarr alone."""
Stage = tuple[Work, ...]
_COLOURS: Final = 3
_TRUE_COLOUR: Final = ("B02", "B03", "B04")
RESOLUTIONS: Final = (10, 20, 60)


@dataclass(frozen=True, slots=True)
class TileShape:
    """What the cost of a tile depends on.

    Attributes
    ----------
    grid : TileGrid
    bands : tuple of str
    cover : float
        Share of it that the images cover [1].
    blocking : Blocking, optional
        How it is cut; default: as usual.
    """

    grid: TileGrid
    bands: tuple[str, ...]
    cover: float = 1.0
    blocking: Blocking | None = None

    def mega(self, resolution: int) -> float:
        """Pixels of a layer [1e6]."""
        rows, columns = self.grid.shape(resolution)
        return rows * columns * 1e-6

    def blocks(self, resolution: int) -> list[float]:
        """Pixels of each block [1e6]."""
        return [
            (b.rows.stop - b.rows.start) * (b.columns.stop - b.columns.start) * 1e-6
            for b in (self.blocking or default_blocking(self.grid)).blocks(self.grid, resolution)
        ]

    def bands_at(self, resolution: int) -> int:
        """Bands of a resolution."""
        return sum(band(name).resolution == resolution for name in self.bands)


def granule_pixels(bands: Sequence[str]) -> int:
    """Return the pixels of a granule, over its bands."""
    return sum(band(n).lines_per_scene * band(n).columns for n in bands)


def granule_packet_bytes(bands: Sequence[str], codec: str) -> int:
    """Return the bytes of the source packets of a granule."""
    if codec == "raw12":
        return sum(band(n).lines_per_scene * band(n).raw_columns * 3 // 2 for n in bands)
    return sum(band(n).packets_per_scene * band(n).packet_length for n in bands)


def granule_packets(bands: Sequence[str]) -> int:
    """Return the source packets of a granule."""
    return sum(band(n).packets_per_scene for n in bands)


def session_stages(files: Sequence[int], granules: int, bands: Sequence[str]) -> tuple[Stage, ...]:
    """Return the work on a session: its files [B] are decoded, its datastrips planned."""
    packets = granules * granule_packets(bands) * 1e-6
    files_of = tuple(Work("EISPProcessor", size * 1e-6) for size in files)
    return files_of, (Work("MSI_Merge-plan", packets),), (Work("RADIO_INIT"),)


def l0_stages(scenes: int, bands: Sequence[str], codec: str) -> tuple[Stage, ...]:
    """Return the work on some granules of a detector at L0."""
    return ((Work("MSI_Merge", granule_packet_bytes(bands, codec) * 1e-6, scenes),),)


def l1b_stages(scenes: int, bands: Sequence[str], step: str = "RADIO_AB") -> tuple[Stage, ...]:
    """Return the work on some granules of a detector at L1B (or L1A: step DECOMP; imported: UNFORMAT_SAFE_GR)."""
    return ((Work(step, granule_pixels(bands) * 1e-6, scenes),),)


def strip_stages(granules: int) -> tuple[Stage, ...]:
    """Return the work that closes a datastrip."""
    return ((Work("OLQC_DS_L1B", granules * 1e-6),),)


def _l1c(tile: TileShape) -> Iterator[Stage]:
    yield (Work("TILE_INIT"),)
    yield tuple(
        Work(f"GEN_ORTHO_TOA-r{r}m", tile.cover * size * tile.bands_at(r))
        for r in RESOLUTIONS
        for size in tile.blocks(r)
    )
    yield tuple(Work("MASK_S2", tile.cover * size) for size in tile.blocks(60))
    yield (Work("TILE_FINALIZE"),)


def _l2a(tile: TileShape) -> Iterator[Stage]:
    blocks = tile.blocks(20)
    yield (Work("L2A_INIT"),)
    yield tuple(Work("L2A_DDV", tile.cover * size) for size in blocks)
    yield (Work("L2A_AOT_WV", tile.cover * sum(blocks)),)
    yield tuple(Work("L2A_AC", tile.cover * size) for size in blocks)
    yield (Work("L2A_FINALIZE"),)


def images_of(level: str, tile: TileShape) -> Iterator[tuple[str, float]]:
    """Yield name and size [1e6 samples, of those that the images cover] of the images of a SAFE."""
    for r in RESOLUTIONS:
        layer = tile.cover * tile.mega(r)
        if level == "L1C":
            colour = ["TCI"] if r == 10 and set(_TRUE_COLOUR) <= set(tile.bands) else []
            names: Sequence[str] = [n for n in tile.bands if band(n).resolution == r] + colour
        else:
            names = [*L2A_BANDS[r], "TCI", "AOT", "WVP", *(["SCL"] if r > 10 else [])]
        for name in names:
            yield f"{name}-{r}m", layer * (_COLOURS if name == "TCI" else 1)


def image_step(name: str, delivery: str) -> str:
    """Return the step, as the cost model names it, of an image of a SAFE: colours are drawn before they are coded."""
    return f"{'FORMAT_TCI' if name.startswith('TCI') else 'FORMAT_IMG'}-{delivery}"


def mask_step(name: str, delivery: str) -> str:
    """Return the step, as the cost model names it, of a mask or of the preview."""
    return "FORMAT_PVI" if name.startswith("PVI") else f"FORMAT_MASK-{delivery}-r{name.rpartition('-')[2]}"


def masks_of(level: str, tile: TileShape, with_l1c: bool = True) -> Iterator[tuple[str, float]]:
    """Yield name and size [1e6 pixels] of the masks of a SAFE, and of its preview."""
    if level == "L1C" or with_l1c:
        for name in tile.bands:
            for kind in ("DETFOO", "QUALIT"):
                yield f"{kind}-{name}-{BANDS[name].resolution}m", tile.mega(BANDS[name].resolution)
        yield "CLASSI-B00-60m", tile.mega(60)
    if level == "L2A":
        yield from ((f"{kind}-{r}m", tile.mega(r)) for r in (20, 60) for kind in ("CLDPRB", "SNWPRB"))
    yield "PVI-10m", tile.mega(10) / 1024


def zarr_mega(level: str, tile: TileShape) -> float:
    """Return the samples of the images of a Zarr that the images cover [1e6]."""
    return sum(size for name, size in images_of(level, tile) if not name.startswith("TCI"))


def release_stages(levels: Sequence[str], tile: TileShape, delivery: Delivery, masks: bool) -> Iterator[Stage]:
    """Yield the work on the delivery of the products of a tile, with the masks of Level-1C or without."""
    yield (Work("FORMAT_METADATA_DS"),)
    tasks: list[Work] = []
    for level in levels:
        if delivery != "zarr":
            tasks += [Work(image_step(name, delivery), mega) for name, mega in images_of(level, tile)]
            linked = level == "L2A" and "L1C" in levels
            coded = masks_of(level, tile, masks and not linked)
            tasks += [Work(mask_step(name, delivery), mega) for name, mega in coded]
            tasks += [Work("FORMAT_LINK")] if linked else []
        tasks.append(Work("FORMAT_ZARR", zarr_mega(level, tile)))
    yield tuple(sorted(tasks, key=lambda work: -work.mega))
    yield tuple(Work("FORMAT_METADATA", zarr_mega(level, tile)) for level in levels)


def tile_stages(
    tile: TileShape, to: str, delivery: Delivery, *, from_l1c: bool = False, masks: bool = False
) -> tuple[Stage, ...]:
    """Return the work on a tile, from its L1B images to its delivery.

    Parameters
    ----------
    tile : TileShape
    to : str
        Last level.
    delivery : str
    from_l1c : bool
        It begins with an L1C product, or with the store of one.
    masks : bool
        Of which the masks are at hand: the SAFE of Level-2A has them, as it has where both are made.
    """
    made = ["L2A"] if from_l1c else ["L1C", *(["L2A"] if to == "L2A" else [])]
    stages: list[Stage] = []
    if "L1C" in made:
        stages += _l1c(tile)
    if "L2A" in made:
        stages += _l2a(tile)
    return (*stages, *release_stages(made, tile, delivery, masks or not from_l1c))


def tile_pixels(tile: TileShape, to: str, *, from_l1c: bool = False) -> int:
    """Return the pixels that are computed for a tile, over its bands and levels."""
    made = [] if from_l1c else [sum(tile.mega(band(n).resolution) for n in tile.bands)]
    if to == "L2A":
        made.append(sum(tile.mega(r) * len(names) for r, names in L2A_BANDS.items()))
    return int(1e6 * tile.cover * sum(made))
