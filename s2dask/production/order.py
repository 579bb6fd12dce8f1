"""What is asked of a run, and where it finds and puts things."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal, Self, get_args

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io.grids import TileGrid
from s2dask.io.storage import is_local, is_s3
from s2dask.l0.datatake import KINDS, NOMINAL
from s2dask.l2a.options import DEFAULT, Corrections
from s2dask.production.blocks import Blocking
from s2dask.production.footprint import Window, tile_grid
from s2dask.production.plan_work import Delivery
from s2dask.production.resampling import USUAL, Resampling
from s2dask.qc.checklists import load_checklists
from s2dask.release.eopf_form import ZarrForm, check_form
from s2dask.release.jpeg2000 import Profile, check_profile

QualityPolicy = Literal["withhold", "flag"]
__all__ = ["LEVELS", "Corrections", "Order"]
LEVELS: Final = ("L0", "L1A", "L1B", "L1C", "L2A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked of a run.

    Attributes
    ----------
    source : str
        Folder or fsspec URL of a CADU session, or a local L1B or L1C SAFE (folder or zip).
    to : {"L0", "L1A", "L1B", "L1C", "L2A"}
        Last level; a session delivers its tiles, or the datastrip when the last level is one of a datastrip. A datatake
        whose type has fewer levels (`s2dask.l0.datatake.levels_of`) ends at its last; L1A is made when it is that, or
        named.
    out : str
        Delivery folder, local or ``s3://bucket/prefix``. Nothing is visible in it before it is whole.
    scratch : str, optional
        Local folder, seen by all workers, of the working stores; default: ``.work`` of a local delivery folder. Best on
        its file system, so that what is delivered need not be copied.
    tile, window : optional
        Only this tile, or a window (x0, y0, width, height) [m] of it.
    aux : str, optional
        Local folder of auxiliary files; default: ``aux`` of a local session.
    blocking : Blocking, optional
        How tiles are cut; the result does not depend on it.
    keep : bool
        Keep working stores and packets: a run that is repeated decodes only files that are new since, and moves only
        the packets that these change.
    allow_gaps : bool
        Go on without files that a DSIB announces and that are not there; what is lost is counted and flagged.
    follow : float, optional
        Wait for a session that still arrives, decoding its files as they come, until nothing new came for so long [s].
    unit, orbit : str, int, optional
        Unit and absolute orbit of a session whose identifier tells neither (EDRS).
    datatake_type : str
        Of a session, as the mission plan has it (`s2dask.l0.datatake.KINDS`): telemetry does not tell it.
    minimum_granules : int
        A datastrip of fewer stays at L0, as is expected of it; the mission's rule is 48 or 36 (minGrRequired).
    formats : sequence of {"zarr", "safe"}
        Of a datastrip delivered at L0, L1A or L1B; for the SAFE it is located, and its clouds are judged, on the way.
    jp2_profile : {"s2-strict", "s2-fast", "htj2k"}
        How the images of the SAFE of a tile are coded (`s2dask.release.jpeg2000`).
    tile_safe : bool
        Whether tiles are delivered as SAFE too, or as Zarr alone.
    zarr_form : {"eopf", "geozarr"}
        Of the Zarr of a tile (`s2dask.release.eopf_form`).
    corrections : Corrections
        What L2A corrects for, and the model of its aerosol.
    resampling : Resampling
        Of L1C tiles: interpolation, who keeps the overlap of detectors, and whether the noise gain is a layer.
    quality_policy : {"withhold", "flag"}
        What becomes of a product of which a concluding check fails: it is not delivered, or it is, as the mission does,
        with the failure in its metadata and in the summary.
    checklists : str, optional
        Checklist file in place of that of s2dask (`s2dask.qc.checklists`).
    quality_store : str, optional
        Folder or fsspec URL of the store of indicators (`s2dask.qc.store`) that every product goes to.
    ledger : str, optional
        Path or URL of the ledger (`s2dask.production.ledger`); default: a file among the working stores.
    split : int, optional
        Scenes of a virtual datastrip (`s2dask.production.virtual_strip`): images of the datastrip are made, and removed
        when their tiles are delivered, so many at a time. The tiles are the same; default: not split.
    trace : str, optional
        File that gets a JSON line when a unit begins and when it ends (`s2dask.production.trace`).
    history : str, optional
        Folder or fsspec URL of measured runs (`s2dask.graph.cost_history`), which this one is added to.
    """

    source: str
    to: str = "L2A"
    out: str = "products"
    scratch: str | None = None
    tile: str | None = None
    window: Window | None = None
    aux: str | None = None
    blocking: Blocking | None = None
    keep: bool = False
    allow_gaps: bool = False
    follow: float | None = None
    unit: str | None = None
    orbit: int | None = None
    datatake_type: str = NOMINAL
    minimum_granules: int = 0
    formats: Sequence[str] = ("zarr",)
    jp2_profile: Profile = "s2-strict"
    tile_safe: bool = True
    zarr_form: ZarrForm = "eopf"
    resampling: Resampling = USUAL
    corrections: Corrections = DEFAULT
    quality_policy: QualityPolicy = "withhold"
    checklists: str | None = None
    quality_store: str | None = None
    ledger: str | None = None
    split: int | None = None
    trace: str | None = None
    history: str | None = None

    def __post_init__(self) -> None:
        if self.to not in LEVELS:
            raise ConfigurationError(f"no level {self.to}", "--to", f"one of {', '.join(LEVELS)}")
        check_profile(self.jp2_profile)
        if self.corrections != DEFAULT and self.to != "L2A":
            raise ConfigurationError("surface reflectance is not made", "--aerosol", "use --to L2A")
        if self.resampling != USUAL and self.to not in ("L1C", "L2A"):
            raise ConfigurationError(f"nothing is resampled up to {self.to}", "--interpolation, --cut, --noise-gain")
        check_form(self.zarr_form)
        self._check_places()
        self._check_split()
        if self.quality_policy not in get_args(QualityPolicy):
            raise ConfigurationError(f"no policy {self.quality_policy}", "--quality-policy", "withhold or flag")
        load_checklists(self.checklists)
        if self.datatake_type not in KINDS:
            raise ConfigurationError(f"no datatake type {self.datatake_type}", "--type", f"one of {', '.join(KINDS)}")
        if self.window is not None and self.tile is None:
            raise ConfigurationError("a window needs its tile", "--window", "add --tile")
        if self.follow is not None and not 0 < self.follow < float("inf"):
            raise ConfigurationError(f"{self.follow} s", "--follow", "a number of seconds above 0")
        if self.follow is not None and self.is_safe:
            raise ConfigurationError("a product does not arrive", "--follow", "it is for CADU sessions")

    def _check_places(self) -> None:
        if not is_local(self.out) and not is_s3(self.out):
            raise ConfigurationError("deliveries are folders, local or s3://", "--out", f"not {self.out}")
        if self.scratch is not None and not is_local(self.scratch):
            raise ConfigurationError("working stores are local", "--work", f"name a folder, not {self.scratch}")
        if self.scratch is None and not is_local(self.out):
            remedy = "give --work a local folder that all workers see, with room for the working stores"
            raise ConfigurationError(f"no place for the working stores of {self.out}", "--work", remedy)

    def _check_split(self) -> None:
        if self.split is None:
            return
        if self.split < 1:
            raise ConfigurationError(f"{self.split} scenes", "--split", "1 or more")
        if self.is_safe or self.to not in ("L1C", "L2A"):
            raise ConfigurationError("no tiles of a session are made", "--split", "use it with --to L1C or L2A")
        if self.resampling.uncertainty:
            what = "the uncertainty of L1C follows the mean of the whole datastrip"
            raise ConfigurationError(what, "--split, --toa-uncertainty", "leave one of them out")

    @property
    def delivery(self) -> Delivery:
        """How tiles are delivered, as a plan names it."""
        return self.jp2_profile if self.tile_safe else "zarr"

    def spec(self) -> dict[str, Any]:
        """Return the order as the ledger keeps it, JSON-able; `of` reads it back."""
        return asdict(self) | {"formats": list(self.formats)}

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Return the order that `spec` has told."""
        told, window, blocking = dict(spec), spec["window"], spec["blocking"]
        told["window"] = None if window is None else tuple(window)
        told["blocking"] = None if blocking is None else Blocking(**blocking)
        told["resampling"], told["corrections"] = Resampling(**spec["resampling"]), Corrections(**spec["corrections"])
        return cls(**told)

    @property
    def is_safe(self) -> bool:
        """Whether the source is a product and no session."""
        return is_local(self.source) and Path(self.source).suffix in (".SAFE", ".zip")

    @property
    def grids(self) -> list[TileGrid]:
        """Tiles that are named; none: all that the datastrip touches."""
        return [] if self.tile is None else [tile_grid(self.tile, self.window)]

    @property
    def work(self) -> Path:
        """Folder of the working stores of this source."""
        # of zip://folder::file:///session.zip it is the last part that tells sessions apart
        stem = PurePosixPath(self.source.split("::")[-1].rstrip("/")).stem
        home = Path(self.out) / ".work" if self.scratch is None else Path(self.scratch)
        return home / (stem or "session")

    @property
    def failures(self) -> Path:
        """Folder for what is needed to see a failure again."""
        return Path(self.scratch or self.out) / ".failures"

    def aux_folder(self) -> str:
        """Return the folder of auxiliary files of a session."""
        if self.aux is None and not is_local(self.source):
            remedy = "they are read from a local folder: give --aux"
            raise InputMissing("a session at a URL has no auxiliary files beside it", self.source, remedy)
        folder = (self.aux or f"{self.source.rstrip('/')}/aux").removeprefix("file://")
        if not Path(folder).is_dir():
            raise InputMissing("no folder of auxiliary files", folder, "give --aux")
        return folder
