"""ASGARD in a process of its own, under the interpreter that $S2DASK_PEER_PYTHON names: s2dask holds no peer."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np

from s2dask.auxdata.datastrip import find_datastrip
from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.instrument import band

VARIABLE = "S2DASK_PEER_PYTHON"
MISSING = f"peer not installed: set {VARIABLE}"
_MARGIN = 0.3
"""Of terrain around what the sensors see [degree]."""


def peer_python() -> str | None:
    """Return the interpreter that has ASGARD, None if there is none."""
    python = os.environ.get(VARIABLE)
    if not python:
        return None
    try:
        run = subprocess.run([python, "-c", "import asgard"], capture_output=True, check=False)
    except OSError:
        return None
    return None if run.returncode else python


class LocationPeer:
    """A running ASGARD; see `asgard_location.py` for what it can be asked."""

    def __init__(self, python: str, folder: Path) -> None:
        script = Path(__file__).with_name("asgard_location.py")
        self._folder = folder
        self._process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what: str, name: str, **values: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
        asked, answered = self._pipes()
        asked.write(json.dumps({"do": what, "name": name, **plain}) + "\n")
        asked.flush()
        line = answered.readline()
        if not line:
            raise RuntimeError(f"the peer ended at {what} of {name}: its own message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def open(
        self,
        name: str,
        reference: Path,
        model: ViewingModel,
        terrain: Terrain,
        sensors: Sequence[tuple[str, int]],
        *,
        refine: bool = True,
        angles: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Make a model of the reference datastrip, with the terrain that `model` sees."""
        self.ask(
            "open", name,
            datastrip=str(find_datastrip(reference / "l1b")), gipp=str(reference / "gipp"),
            iers=str(next(reference.glob("iers/*.txt"))), terrain=self._terrain(model, terrain, sensors),
            sensors=[f"{b}/D{d:02d}" for b, d in sensors], refine=refine, angles=dict(angles or {}),
        )  # fmt: skip

    def _terrain(self, model: ViewingModel, terrain: Terrain, sensors: Sequence[tuple[str, int]]) -> str:
        """Write the posts around what the sensors see, south to north, and return the name of the file."""
        corners = []
        for name, detector in sensors:
            last = 13824 * 10 // band(name).resolution
            image = np.meshgrid([0.0, last], [0.0, band(name).columns])
            corners.append(np.stack(model.direct(name, detector, *image, terrain)[:2]).reshape(2, -1))
        lon, lat = np.concatenate(corners, axis=1)
        box = terrain.window(lon.min() - _MARGIN, lat.min() - _MARGIN, lon.max() + _MARGIN, lat.max() + _MARGIN)
        west, north, step_lon, step_lat = box.frame
        path = self._folder / "terrain.npz"
        np.savez(
            path,
            lon=west + step_lon * np.arange(box.heights.shape[1]),
            lat=(north - step_lat * np.arange(box.heights.shape[0]))[::-1],
            height=box.heights[::-1],
        )
        return str(path)

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the peer has no pipes")
        return self._process.stdin, self._process.stdout

    def close(self) -> None:
        """End the process."""
        for pipe in self._pipes():
            pipe.close()
        self._process.wait(timeout=60)


@contextmanager
def location_peer() -> Iterator[LocationPeer | None]:
    """Give a running peer, None where there is none."""
    python = peer_python()
    if python is None:
        yield None
        return
    with TemporaryDirectory() as folder:
        peer = LocationPeer(python, Path(folder))
        try:
            yield peer
        finally:
            peer.close()


def apart(found: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return the distances [m] over the ground of places (…, 2 or 3) [degree], small ones and not near a pole."""
    east = (found[..., 0] - ground[..., 0]) * np.cos(np.radians(ground[..., 1]))
    return np.asarray(111_200.0 * np.hypot(east, found[..., 1] - ground[..., 1]))
