"""What a plan is made for: a session, a kept L0 datastrip, a real L1B or L1C product; its facts, not its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from s2dask.auxdata.datastrip import Trajectory
from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.errors import InputError, InputMissing
from s2dask.instrument import SCENE_SECONDS, band
from s2dask.io.safe_l1b import is_l1b_safe, open_strip
from s2dask.io.storage import exists, filesystem, is_local, open_array
from s2dask.io.tiles import open_tile
from s2dask.l0.session import SessionState, accept_session, survey
from s2dask.production.order import Order
from s2dask.production.plan_ground import StripGround, lie_of_strip, strip_model
from s2dask.production.plan_sample import SampledStrip, sample_session
from s2dask.production.plan_work import TileShape
from s2dask.production.strip import strip_facts

Kind = Literal["session", "l0", "l1b", "l1c"]
_LEAST_POINTS: Final = 6
_LEAST_ATTITUDES: Final = 8
"""Samples that the location interpolates with."""


@dataclass(frozen=True, slots=True)
class StripShape:
    """A datastrip, as far as a plan needs it.

    Attributes
    ----------
    detectors : tuple of int
    bands : tuple of str
    scenes : int
    codec : str
    sensing : (int, int)
        Start and stop, GPS [ns].
    tiles : tuple of str
        That its images touch; empty when it was not located.
    cover : mapping of str to float
        Share of a tile that they cover.
    granules : mapping of str to int
        Granules that see a tile.
    needs : mapping of str to (int, int)
        First scene and last + 1 that a tile is made of.
    """

    detectors: tuple[int, ...]
    bands: tuple[str, ...]
    scenes: int
    codec: str
    sensing: tuple[int, int]
    tiles: tuple[str, ...] = ()
    cover: Mapping[str, float] = field(default_factory=dict)
    granules: Mapping[str, int] = field(default_factory=dict)
    needs: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return it, JSON-able."""
        start, stop = (iso(gps_to_utc(t)) for t in self.sensing)
        return {
            "sensing_start": start, "sensing_stop": stop, "scenes": self.scenes, "detectors": list(self.detectors),
            "bands": list(self.bands), "codec": self.codec, "tiles": len(self.tiles),
            "full_tiles": round(sum(self.cover.values()), 2),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlanSource:
    """What is to be processed.

    Attributes
    ----------
    url : str
    name : str
        Of the session or product.
    kind : {"session", "l0", "l1b", "l1c"}
    unit : str
    strips : tuple of StripShape
        None of an L1C product.
    files : tuple of int
        Sizes of the files of a session [B].
    arrivals : tuple of float
        Share of the reception after which each of them is there.
    read : int
        Bytes that were read of them to plan.
    tile : TileShape or None
        Of an L1C product.
    flags : tuple of str
        What was assumed.
    """

    url: str
    name: str
    kind: Kind
    unit: str
    strips: tuple[StripShape, ...] = ()
    files: tuple[int, ...] = ()
    arrivals: tuple[float, ...] = ()
    read: int = 0
    tile: TileShape | None = None
    flags: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return it, JSON-able."""
        return {
            "url": self.url, "name": self.name, "kind": self.kind, "unit": self.unit, "files": len(self.files),
            "bytes": sum(self.files), "bytes_read_to_plan": self.read, "strips": [s.facts() for s in self.strips],
        }  # fmt: skip


def _aux_folder(url: str, aux: str | None) -> str:
    return Order(source=url, out=".", aux=aux).aux_folder()


def _located(
    shape: StripShape, trajectory: Trajectory, first: Mapping[tuple[int, str], int], unit: str, aux: str
) -> tuple[StripShape, tuple[str, ...]]:
    """Return a datastrip with its tiles, and what was assumed."""
    model, gipps = strip_model(trajectory, first, shape.sensing, unit, aux)
    lines = {(d, n): shape.scenes * band(n).lines_per_scene for d, n in first}
    lie: StripGround = lie_of_strip(model, gipps, lines, shape.scenes, aux)
    names = tuple(tile.name for tile in lie.tiles)
    located = StripShape(
        shape.detectors,
        shape.bands,
        shape.scenes,
        shape.codec,
        shape.sensing,
        names,
        lie.cover,
        lie.granules,
        lie.needs,
    )
    return located, lie.flags


def _of_session(url: str, aux: str | None, unit: str | None, orbit: int | None, located: bool) -> PlanSource:
    state = survey(url, unit, orbit=orbit)
    session = accept_session(state, allow_gaps=True)
    found = sample_session(state)
    strips, flags = [], list(found.flags)
    if state.lacking:
        flags.append(f"{len(state.lacking)} files of the session are not there: {state.lacking[0]} …")
    for sampled in found.strips:
        shape = StripShape(sampled.detectors, sampled.bands, sampled.scenes, sampled.codec, sampled.sensing)
        if located:
            shape, assumed = _located(
                shape, _trajectory(sampled, url), sampled.first_line_date, session.unit, _aux_folder(url, aux)
            )
            flags.extend(assumed)
        strips.append(shape)
    sizes = tuple(block.size for block in state.blocks)
    return PlanSource(
        url, session.id, "session", session.unit, tuple(strips), sizes, _arrivals(state), found.read,
        flags=tuple(dict.fromkeys(flags)),
    )  # fmt: skip


def _arrivals(state: SessionState) -> tuple[float, ...]:
    """Return when each file is there: the channels are received side by side, at a constant rate."""
    ends: dict[int, int] = {}
    shares = []
    for block in state.blocks:
        ends[block.channel] = ends.get(block.channel, 0) + block.size
        shares.append(ends[block.channel])
    return tuple(end / ends[block.channel] for end, block in zip(shares, state.blocks, strict=True))


def _trajectory(strip: SampledStrip, where: str) -> Trajectory:
    """Return orbit and attitude of a sampled datastrip; they have to reach over its imaging."""
    points, attitude = strip.points, strip.attitude
    start, stop = strip.sensing
    for what, samples, least in (("GPS", points, _LEAST_POINTS), ("attitude", attitude, _LEAST_ATTITUDES)):
        if samples.time.size < least or samples.time[0] > start or samples.time[-1] < stop:
            found = f"{samples.time.size} {what} packets where they were looked for, which do not cover the imaging"
            raise InputMissing(found, where, "tiles cannot be told: plan up to L1B, or make L0 and plan from it")
    return Trajectory(points.time, points.values[:, :3], attitude.time, attitude.values)


def _of_l0(url: str, aux: str | None, located: bool) -> PlanSource:
    facts = strip_facts(url)
    if facts.level != "L0":
        raise InputError(f"a store of {facts.level}", url, "a plan begins with a session, L0, or a SAFE of L1B or L1C")
    start, stop = (int(facts.attrs[f"sensing_{end}_gps"]) for end in ("start", "stop"))
    shape = StripShape(facts.detectors, facts.bands, facts.scenes, facts.codec, (start, stop))
    flags: tuple[str, ...] = ()
    if located:
        paths = ("ephemeris/gps_time", "ephemeris/position", "attitude/gps_time", "attitude/quaternion")
        trajectory = Trajectory(*(np.asarray(open_array(url, f"conditions/{p}")[...]) for p in paths))
        dates = np.asarray(open_array(url, "conditions/datation/first_line_date")[...])
        first = {(d, n): int(dates[i, j]) for i, d in enumerate(facts.detectors) for j, n in enumerate(facts.bands)}
        shape, flags = _located(shape, trajectory, first, facts.unit, aux or str(facts.attrs["aux"]))
    return PlanSource(url, Path(url).name, "l0", facts.unit, (shape,), flags=flags)


def _of_l1b(url: str, aux: str | None, located: bool) -> PlanSource:
    strip = open_strip(url)
    first = int(np.asarray(strip.variables["conditions/datation/first_line_date"]).min())
    sensing = first, first + round(strip.scenes * SCENE_SECONDS * 1e9)
    shape = StripShape(strip.detectors, strip.bands, strip.scenes, str(strip.attrs["codec"]), sensing)
    flags: tuple[str, ...] = ()
    if strip.attrs["missing_granules"]:
        flags = (f"{len(strip.attrs['missing_granules'])} granules are not in the product: no data",)
    if located:
        v = {path: np.asarray(values) for path, values in strip.variables.items()}
        paths = ("ephemeris/gps_time", "ephemeris/position", "attitude/gps_time", "attitude/quaternion")
        dates = v["conditions/datation/first_line_date"]
        lines = {(d, n): int(dates[i, j]) for i, d in enumerate(strip.detectors) for j, n in enumerate(strip.bands)}
        trajectory = Trajectory(*(v[f"conditions/{p}"] for p in paths))
        shape, assumed = _located(shape, trajectory, lines, str(strip.attrs["unit"]), _aux_folder(url, aux))
        flags = (*flags, *assumed)
    return PlanSource(url, Path(url).stem, "l1b", str(strip.attrs["unit"]), (shape,), flags=flags)


def _of_l1c(url: str) -> PlanSource:
    tile = open_tile(url)
    nodata = float(tile.attrs.get("nodata_percentage") or 0.0)
    shape = TileShape(tile.grid, tile.bands, max(1.0 - nodata / 100.0, 0.0))
    return PlanSource(url, Path(url).stem, "l1c", str(tile.attrs["unit"]), tile=shape)


def look_at(
    url: str, aux: str | None = None, *, unit: str | None = None, orbit: int | None = None, located: bool = True
) -> PlanSource:
    """Return what a source holds, as far as a plan needs it.

    Parameters
    ----------
    url : str
        CADU session, L0 datastrip store, L1B or L1C product in SAFE form.
    aux : str, optional
        Folder of auxiliary files.
    unit, orbit : str, int, optional
        Of a session through EDRS.
    located : bool
        Find the tiles too.
    """
    if not exists(url):
        raise InputMissing("nothing there", url, "check the path")
    if is_local(url) and url.rstrip("/").endswith((".SAFE", ".zip")):
        return _of_l1b(url, aux, located) if is_l1b_safe(url) else _of_l1c(url)
    fs, path = filesystem(url)
    if fs.exists(f"{path}/zarr.json"):
        return _of_l0(url, aux, located)
    return _of_session(url, aux, unit, orbit, located)
