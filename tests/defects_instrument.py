"""Kinds of defects of the instrument and of its radiometric GIPPs: in the packets of a clean L0, or beside them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from defects_model import Bench, Verdict, again, change, judged, stored, unpacked, write_lines
from numpy.typing import NDArray

from s2dask.auxdata.gipp_radiometry import read_r2crco
from s2dask.auxdata.gipp_radiometry_text import write_r2crco
from s2dask.instrument import BANDS, band, unit
from s2dask.io.schema import packet_path
from s2dask.io.storage import open_array
from s2dask.simulate.gipp import write_radiometric
from s2dask.simulate.sensor import CROSSTALK, DetectorState, draw_detector

DETECTOR, DARK = 6, 450.0
Raw = NDArray[np.int64]
Change = Callable[[Raw], Raw]


def _useful(name: str, columns: int) -> NDArray[np.bool_]:
    """Return whether a raw column sees light."""
    at, blind = np.arange(columns), band(name).blind
    return (at >= blind) & (at < columns - blind)


def of_light(change_of: Callable[[Raw, NDArray[np.int64]], Raw], name: str) -> Change:
    """Return a change of what useful columns see above their dark signal, told the columns."""

    def changed(raw: Raw) -> Raw:
        columns = np.arange(raw.shape[1])
        light = change_of(raw - DARK, columns)
        return np.where(_useful(name, raw.shape[1]), np.rint(DARK + light).astype(np.int64), raw)

    return changed


def in_packets(changes: Mapping[str, Change], to: str = "L1B") -> Callable[[Bench, Path], Verdict]:
    """Return what changes of the raw lines of some bands make of the levels from L1B on."""

    def run(bench: Bench, folder: Path) -> Verdict:
        l0 = bench.copy_of(bench.l0, folder)
        for name, one in changes.items():
            write_lines(l0, DETECTOR, name, one(unpacked(l0, DETECTOR, name)))
        return judged(lambda: again(bench, folder, "L1B", to, l0=l0))

    return run


def _noise(raw: Raw) -> Raw:
    """Draw the noise of B04 as if it were twice as large."""
    light, facts = np.maximum(raw - DARK, 0), unit("S2A").bands["B04"]
    sigma = np.sqrt(facts.noise_alpha**2 + facts.noise_beta * light)
    draw = np.random.default_rng(4).normal(0, np.sqrt(3), raw.shape)
    return np.asarray(np.rint(raw + draw * sigma), np.int64)


def _column(name: str, which: int, value: Callable[[Raw], Raw]) -> Change:
    def changed(raw: Raw) -> Raw:
        out = raw.copy()
        out[:, which] = value(out[:, which])
        return out

    return changed


DEAD = in_packets({"B04": _column("B04", 1500, lambda x: 0 * x + 20)})
STUCK = in_packets({"B8A": _column("B8A", 700, lambda x: 0 * x + 1023)})
HOT = in_packets({"B03": _column("B03", 1000, lambda x: np.rint(DARK + 1.06 * (x - DARK)).astype(np.int64))})
ODD_EVEN = in_packets({"B04": of_light(lambda x, c: x * (1 + 0.004 * np.where(c % 2, -1, 1)), "B04")})
DRIFT = in_packets({"B11": lambda raw: raw + 8})
SIDES = in_packets({"B12": lambda raw: raw + 4 * (np.arange(raw.shape[1]) < 100)})
NOISE = in_packets({"B04": _noise})
SATURATED = in_packets({"B02": of_light(lambda x, _: 8 * x, "B02")})


def _rewritten(
    change_of: Callable[[DetectorState, DetectorState], DetectorState], names: tuple[str, ...]
) -> Callable[[Bench, Path], Verdict]:
    """Return what equalisation and defects of some bands make of L1B if GIPPs tell others."""

    def run(bench: Bench, folder: Path) -> Verdict:
        aux, seed = bench.copy_aux(folder), _seed(bench)
        states = {(n, DETECTOR): draw_detector(n, DETECTOR, seed, 2) for n in BANDS}
        for name in names:
            key = name, DETECTOR
            states[key] = change_of(states[key], draw_detector(name, DETECTOR, seed + 1000, 2))
        write_radiometric(aux / "gipp", "S2A", (DETECTOR,), states)
        return judged(lambda: again(bench, folder, "L1B", "L1B", aux=aux))

    return run


def _seed(bench: Bench) -> int:
    told: Any = zarr.open_group(f"{bench.session}/truth.zarr", mode="r").attrs["options"]
    return int(told["seed"])


UNLISTED = _rewritten(lambda own, _: replace(own, dead=own.dead[:1]), ("B04",))
WRONG_DARK = _rewritten(lambda own, other: replace(own, dark=other.dark), ("B03",))
WRONG_RESPONSE = _rewritten(lambda own, other: replace(own, response=other.response), ("B04",))
OLD_DARK_LEVEL = _rewritten(lambda own, _: replace(own, dark=own.dark - 12.0), ("B05",))


def no_crosstalk_correction(bench: Bench, folder: Path) -> Verdict:
    aux = bench.copy_aux(folder)
    (path,) = (aux / "gipp").glob("*GIP_R2CRCO*")
    told = read_r2crco(path, "S2A")
    path.write_text(write_r2crco(replace(told, electrical=np.zeros_like(told.electrical))), "utf-8")
    return judged(lambda: again(bench, folder, "L1B", "L1B", aux=aux))


def lost_packets(bench: Bench, folder: Path) -> Verdict:
    l0 = bench.copy_of(bench.l0, folder)
    where = f"{packet_path(DETECTOR, 'B08')}/status"
    status = stored(l0, where)
    status[40:44] = 1
    change(l0, where, status)
    return judged(lambda: again(bench, folder, "L1B", "L1B", l0=l0))


def wrong_packets(bench: Bench, folder: Path) -> Verdict:
    """Swap two packets of a band: sixteen lines that are those of another place."""
    l0 = bench.copy_of(bench.l0, folder)
    where = f"{packet_path(DETECTOR, 'B08')}/packets"
    packets = np.asarray(open_array(l0, where)[...])
    packets[[40, 100]] = packets[[100, 40]]
    change(l0, where, packets)
    return judged(lambda: again(bench, folder, "L1B", "L1B", l0=l0))


def more_crosstalk(bench: Bench, folder: Path) -> Verdict:
    """Let B11 leak thrice as much into B10 as GIP_R2CRCO tells."""
    l0 = bench.copy_of(bench.l0, folder)
    raw, source = (unpacked(l0, DETECTOR, name) for name in ("B10", "B11"))
    seen = (source - DARK).reshape(raw.shape[0], 3, -1).mean(axis=1)
    light = np.rint(raw + 2 * CROSSTALK["B10", "B11"] * seen).astype(np.int64)
    write_lines(l0, DETECTOR, "B10", np.where(_useful("B10", raw.shape[1]), light, raw))
    return judged(lambda: again(bench, folder, "L1B", "L1B", l0=l0))
