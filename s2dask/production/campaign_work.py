"""The units of a campaign: those of a run, held to the frozen GIPPs, with Level-1C and Level-2A of a tile apart.

A tile is two units, so that what an L2A option changes is L2A alone: ``L1C-T28SCB`` makes and delivers Level-1C,
``TILE-T28SCB`` makes Level-2A of its working store.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from s2dask.errors import ConfigurationError
from s2dask.graph.unit import Unit
from s2dask.l2a.options import DEFAULT
from s2dask.production.chain import WORKS
from s2dask.production.identity import folder_digest, tile_identity
from s2dask.production.marks import mark, unmark
from s2dask.production.order import Order
from s2dask.production.provenance import remembering
from s2dask.production.setting import open_gipps
from s2dask.production.tile_work import run_tile
from s2dask.production.unit_cost import priced
from s2dask.production.work import Context, Done, Work

TERMS: Final = "campaign"
"""Where the spec of a unit keeps what the campaign settles: ``tiles`` and ``gipps``."""


def check_frozen(spec: Mapping[str, Any]) -> None:
    """Refuse a unit whose GIPPs are not those that the campaign froze.

    Raises
    ------
    ConfigurationError
    """
    frozen, l0, aux = (spec.get(TERMS) or {}).get("gipps"), spec.get("l0"), spec.get("aux")
    of_product = "images" in spec and spec["images"] is None  # an L1C product, of which L2A reads no GIPP
    if not frozen or l0 is None or of_product or spec.get("level") == "L0":
        return
    found = open_gipps(str(l0), aux).id
    if found not in frozen:
        what = f"GIPP set {found[:12]} in a campaign that froze {', '.join(one[:12] for one in frozen)}"
        raise ConfigurationError(what, str(aux), "put the files back, or fork the campaign")


def _name(unit: Unit) -> str:
    return unit.name.replace("TILE", "L1C", 1)


def _store(unit: Unit, work: str) -> str:
    return f"{work}/l1c-T{unit.spec['grid']['tile_id']}{unit.spec['suffix']}.zarr"


def _apart(unit: Unit, order: Order, strip: str, work: str) -> tuple[Unit, Unit]:
    """Return the units of Level-1C and of Level-2A of a tile."""
    spec, name, store = unit.spec, _name(unit), _store(unit, work)
    inputs = {"strip": strip, "aux": folder_digest(str(spec["aux"]))}
    identity = tile_identity(spec["grid"], replace(order, corrections=DEFAULT), "L1C", inputs)
    first = replace(
        unit, name=name, kind="L1C", spec={**spec, "to": "L1C", "l1c": store}, identity=identity,
        priority=unit.priority,
    )  # fmt: skip
    last = replace(unit, kind="L2A", spec={**spec, "l1c": store}, after=(*unit.after, name), priority=unit.priority + 1)
    return first, last


def _children(context: Context, done: Done) -> Done:
    """Return what a session calls for: of the tiles those that the campaign wants, Level-1C and Level-2A apart."""
    terms: Mapping[str, Any] = context.unit.spec[TERMS]
    order, wanted = context.order, terms.get("tiles")
    closings = {unit.name: unit.identity for unit in done.children if unit.kind == "STRIP"}
    children: list[Unit] = []
    for bare in done.children:
        unit = replace(bare, spec={**bare.spec, TERMS: dict(terms)})
        if unit.kind != "TILE":
            children.append(unit)
        elif wanted is not None and unit.spec["tile"] not in wanted:
            continue
        elif unit.spec["to"] == "L2A":
            # the digest of the datastrip, or of an imported product through the identity of the tile
            strip = closings.get(unit.after[0], "") if unit.after else ""
            children.extend(_apart(unit, order, strip, str(context.work)) if strip else [unit])
        else:
            spec = {**unit.spec, "l1c": _store(unit, str(context.work))}
            children.append(replace(unit, name=_name(unit), kind="L1C", spec=spec))
    return replace(done, children=priced(children, order))


def _session(context: Context) -> Done:
    """Run the unit of a session (kind SESSION)."""
    return _children(context, WORKS["SESSION"](context))


def _import(context: Context) -> Done:
    """Run the unit of an L1B product (kind IMPORT)."""
    return _children(context, WORKS["IMPORT"](context))


def _l1c(context: Context) -> Done:
    """Make and deliver Level-1C of a tile, and keep its store for Level-2A (kind L1C)."""
    spec = context.unit.spec
    check_frozen(spec)
    unmark(spec["l1c"], context.unit.name)
    # without `l1c` it is the unit of a tile up to Level-1C
    plain = replace(context.unit, spec={name: value for name, value in spec.items() if name != "l1c"})
    done = run_tile(replace(context, unit=plain))
    mark(spec["l1c"], context.unit.name, context.unit.identity)
    return done


def _checked(kind: str) -> Work:
    def work(context: Context) -> Done:
        check_frozen(context.unit.spec)
        return WORKS[kind](context)

    return work


CAMPAIGN_WORKS: Final[Mapping[str, Work]] = {
    **{kind: _checked(kind) for kind in ("L0", "L1A", "L1B", "STRIP", "TILE")},
    "SESSION": _session, "IMPORT": _import, "L1C": remembering(_l1c), "L2A": _checked("TILE"),
}  # fmt: skip
"""What runs the units of each kind in a campaign."""
