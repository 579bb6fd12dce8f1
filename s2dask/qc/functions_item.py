"""Functions of checks on the files of an item: metadata, manifest, images."""

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lxml import etree

from s2dask.qc import functions_files as on_files
from s2dask.qc.checks import Check, Finding, Function, NotTold

if TYPE_CHECKING:
    from s2dask.qc.items import Item

_REMEDY: Final = "give the whole folder"
_REFERENCES: Final = ("dmdID", "pdiID", "repID", "dataObjectID")
"""Attributes of a manifest that hold IDs of the same manifest, one or several."""


def _manifest(item: "Item") -> etree._Element:
    if item.manifest is None:
        raise NotTold("manifest.safe is absent", item.name, _REMEDY)
    return item.manifest


def metadata_present(check: Check, item: "Item") -> Finding:  # noqa: ARG001  # every function is told its check
    """Find whether the metadata file is there and is XML."""
    return Finding(item.root is not None)


def manifest_present(check: Check, item: "Item") -> Finding:  # noqa: ARG001
    """Find whether there is a manifest."""
    return Finding(item.manifest is not None)


def _objects(check: Check, item: "Item") -> list[etree._Element]:
    pattern = str(check.parameters["object"])
    return [e for e in _manifest(item).iterfind(".//metadataObject") if fnmatchcase(e.get("ID") or "", pattern)]


def manifest_object(check: Check, item: "Item") -> Finding:
    """Find whether the metadata objects of a name have the right ``attribute``; ``required``: one must be there."""
    found = _objects(check, item)
    names = ", ".join(e.get("ID") or "" for e in found)
    if not found:
        return Finding(False if check.parameters.get("required") else None, {"names": check.parameters["object"]})
    attribute = str(check.parameters["attribute"])
    wrong = [e for e in found if e.get(attribute) not in check.expected]
    told = ", ".join(f"{e.get('ID')} has {e.get(attribute)}" for e in wrong)
    return Finding(not wrong, {"names": names, "wrong": told, "expected": ", ".join(check.expected)})


def manifest_object_exists(check: Check, item: "Item") -> Finding:
    """Find whether a metadata object of a name is there."""
    return Finding(bool(_objects(check, item)))


def id_references(check: Check, item: "Item") -> Finding:  # noqa: ARG001
    """Find whether every ID that the manifest refers to is defined in it."""
    root = _manifest(item)
    defined = {e.get("ID") for e in root.iter() if e.get("ID")}
    used = [(name, one) for e in root.iter() for name in _REFERENCES for one in (e.get(name) or "").split()]
    unknown = [f"{name}={one}" for name, one in used if one not in defined]
    return Finding(not unknown, {"wrong": ", ".join(unknown[:5]), "count": len(unknown)})


def _references(item: "Item") -> list[str]:
    """Return the files that the manifest refers to, relative to its folder."""
    found = (e.get("href") or "" for e in _manifest(item).iterfind(".//fileLocation"))
    return [href.removeprefix("./") for href in found if href and "://" not in href]


def href_exist(check: Check, item: "Item") -> Finding:  # noqa: ARG001
    """Find whether every file that the manifest refers to is there, schemas apart: real folders name them otherwise."""
    there = set(item.files)
    wanted = [name for name in _references(item) if not name.startswith("rep_info/")]
    absent = [name for name in wanted if name not in there]
    return Finding(not absent, {"wrong": ", ".join(absent[:3]), "count": len(absent), "of": len(wanted)})


def extra_data(check: Check, item: "Item") -> Finding:
    """Find files that the manifest does not refer to; ``allowed`` are patterns of names that it need not."""
    known, allowed = set(_references(item)), [str(p) for p in check.parameters.get("allowed", ())]
    extra = [n for n in item.files if n not in known and not any(fnmatchcase(n, p) for p in allowed)]
    return Finding(not extra, {"wrong": ", ".join(extra[:3]), "count": len(extra)})


def dimensions(check: Check, item: "Item") -> Finding:
    """Find whether the images of a resolution have the size that the metadata state, or ``size``."""
    resolution = int(check.parameters["resolution"])
    images = [image for image in item.images if image.resolution == resolution]
    if not images:
        raise NotTold(f"the images of {resolution} m are absent", item.name, "give the product with its pixels")
    wanted = item.size(resolution) or (int(check.parameters["size"]),) * 2
    sizes = {image.name: image.shape for image in images}
    wrong = [f"{name} has {rows} x {columns}" for name, (rows, columns) in sizes.items() if (rows, columns) != wanted]
    return Finding(not wrong, {"wrong": ", ".join(wrong[:3]), "rows": wanted[0], "columns": wanted[1]})


def data_loss(check: Check, item: "Item") -> Finding:
    """Find the pixels whose image or ancillary data were lost [%], over all masks; not above the maximum."""
    share = item.lost_percentage()
    if share is None:
        raise NotTold("the quality masks are absent", item.name, "give the product with its masks")
    return Finding(share <= check.maximum, {"text": f"{share:.6f}"}, share)


def inherited(check: Check, item: "Item") -> Finding:
    """Find whether the metadata of a product state a failure of a checklist, and whose it is."""
    name = str(check.parameters["of"])
    told = [e for e in item.elements("quality_check") if e.get("checkType") == name]
    if not told:
        return Finding(None)
    status = (told[0].text or "").strip()
    reports = []
    for kind in ("Datastrip_Report", "Granule_Report"):
        for report in item.elements(f"Failed_Inspections/{kind}"):
            owner = next((v for k, v in report.attrib.items() if str(k).endswith("Id")), kind)
            files = [(e.text or "").strip() for e in report.iterfind("{*}REPORT_FILENAME")]
            reports += [f"{owner!s}: {file}" for file in files if PurePosixPath(file).stem.startswith(name)
                        or f"_{name}_report" in file]  # fmt: skip
    return Finding(status == "PASSED", {"text": status, "wrong": "; ".join(reports) or "no report is named"})


FUNCTIONS: Final[dict[str, Function]] = {
    "metadata_present": metadata_present, "manifest_present": manifest_present, "manifest_object": manifest_object,
    "manifest_object_exists": manifest_object_exists, "id_references": id_references, "href_exist": href_exist,
    "extra_data": extra_data, "dimensions": dimensions, "data_loss": data_loss, "inherited": inherited,
    **on_files.FUNCTIONS,
}  # fmt: skip
"""By the name that a checklist file has."""
