"""The small functions that rows of a checklist name; each takes its check and what it asks, and returns a finding."""

import re
from datetime import datetime
from typing import Final

from s2dask.qc import functions_item as on_item
from s2dask.qc.checks import Check, Finding, Function, NotTold, Source


def _told(check: Check, source: Source) -> list[str]:
    """Return the texts of the first input that is told."""
    for name in check.inputs:
        if found := source.texts(name):
            return found
    return []


def _number(text: str, check: Check) -> float:
    try:
        return float(text)
    except ValueError:
        raise NotTold(f"{text!r} is no number", check.inputs[0], "the metadata are damaged") from None


def limits(check: Check, source: Source) -> Finding:
    """Find whether every number lies within the limits, and whether there are ``count``.

    The fields tell the first that does not, or the first.
    """
    texts = _told(check, source)
    if not texts:
        return Finding(None)
    numbers = [_number(text, check) for text in texts]
    wrong = [i for i, n in enumerate(numbers) if not check.minimum <= n <= check.maximum or n >= check.below]
    shown = wrong[0] if wrong else 0
    wanted = int(check.parameters.get("count", 0))
    if wanted and len(numbers) != wanted:
        return Finding(False, {"text": texts[shown]}, numbers[shown], f"{len(numbers)} values, {wanted} expected")
    return Finding(not wrong, {"text": texts[shown], "count": len(numbers)}, numbers[shown])


def total(check: Check, source: Source) -> Finding:
    """Find whether the sum of the numbers lies within the limits; nothing told is none."""
    amount = sum(_number(text, check) for text in _told(check, source))
    return Finding(check.minimum <= amount <= check.maximum, {"text": f"{amount:g}"}, amount)


def flag(check: Check, source: Source) -> Finding:
    """Tell whether a number passes the limit, as True or False: the report has the answer as its value."""
    texts = _told(check, source)
    if not texts:
        return Finding(None)
    if texts[0] in ("True", "False"):
        return Finding(texts[0] == "False", {"text": texts[0]})
    number = _number(texts[0], check)
    above = number > check.maximum or number < check.minimum
    return Finding(not above, {"text": str(above)}, number)


def choice(check: Check, source: Source) -> Finding:
    """Find whether a text is one of the right ones; ``messages`` has what to say for each."""
    texts = _told(check, source)
    if not texts:
        return Finding(None)
    said = check.parameters.get("messages", {}).get(texts[0], "")
    return Finding(texts[0] in check.expected, {"text": texts[0]}, None, said)


def all_in(check: Check, source: Source) -> Finding:
    """Find whether every text is one of the right ones."""
    texts = _told(check, source)
    if not texts:
        return Finding(None)
    wrong = [text for text in texts if text not in check.expected]
    return Finding(not wrong, {"wrong": len(wrong), "count": len(texts), "first": wrong[0] if wrong else ""})


def told(check: Check, source: Source) -> Finding:
    """Tell a value as it is, without a limit."""
    texts = _told(check, source)
    return Finding(True, {"text": texts[0]}) if texts else Finding(None)


def per_band(check: Check, source: Source) -> Finding:
    """Find whether no number of a band is above the maximum; the inputs are ``name.B01`` …, as far as told.

    With ``least``, by band, whether none is below that of its band; with ``judged``, bands, the others are only told.
    """
    from s2dask.instrument import BANDS

    found = {b: source.texts(f"{check.inputs[0]}.{b}") for b in BANDS}
    numbers = {b: _number(t[0], check) for b, t in found.items() if t}
    if not numbers:
        if check.absent:
            return Finding(None)
        raise NotTold("the images are absent", "", "give the product with its pixels")
    least = check.parameters.get("least", {})
    judged = check.parameters.get("judged", list(numbers))
    shares = {b: -n / least[b] if least else n for b, n in numbers.items() if b in (least or judged)}
    if not shares:
        return Finding(None)
    worst = max(shares, key=lambda b: shares[b])
    facts = {"band": worst, "text": found[worst][0], "least": least.get(worst, "")}
    values = tuple((b, found[b][0]) for b in numbers)
    return Finding(shares[worst] <= (-1.0 if least else check.maximum), facts, numbers[worst], values=values)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.removeprefix("UTC=").removesuffix("Z"))
    except ValueError:
        raise NotTold(f"{text!r} is no date", "", "the metadata are damaged") from None


def period(check: Check, source: Source) -> Finding:
    """Find whether the first input, a date, is not after the second: a strip of one scene starts and stops at once."""
    start, stop = (source.texts(name)[:1] for name in check.inputs[:2])
    if not start or not stop:
        return Finding(None)
    return Finding(_moment(start[0]) <= _moment(stop[0]), {"start": start[0], "stop": stop[0]})


def moment(check: Check, source: Source) -> Finding:
    """Find whether a date lies between two others, give or take ``margin`` seconds; where they are told."""
    text, start, stop = ([*source.texts(name), ""][0] for name in (*check.inputs, "", "")[:3])
    if not text:
        return Finding(None)
    when, margin = _moment(text), float(check.parameters.get("margin", 0.0))
    early = bool(start) and (_moment(start) - when).total_seconds() > margin
    late = bool(stop) and (when - _moment(stop)).total_seconds() > margin
    return Finding(not early and not late, {"text": text, "start": start, "stop": stop})


def version(check: Check, source: Source) -> Finding:
    """Find whether a baseline is two numbers of two digits, and that of the item's name."""
    texts = _told(check, source)
    if not texts:
        return Finding(None)
    named = re.search(r"_N(\d\d)\.?(\d\d)(?:_|$)", getattr(source, "name", ""))
    right = re.fullmatch(r"\d\d\.\d\d", texts[0]) is not None
    same = named is None or texts[0] == f"{named[1]}.{named[2]}"
    return Finding(right and same, {"text": texts[0]})


def sum_of(check: Check, source: Source) -> Finding:
    """Find whether the sum of all the inputs, each of which must be told, lies within the limits."""
    found = [source.texts(name) for name in check.inputs]
    if not all(found):
        return Finding(None)
    amount = sum(_number(texts[0], check) for texts in found)
    return Finding(check.minimum <= amount <= check.maximum, {"text": f"{amount:.6f}"}, amount)


FUNCTIONS: Final[dict[str, Function]] = {
    "limits": limits, "total": total, "flag": flag, "choice": choice, "all_in": all_in, "told": told,
    "per_band": per_band, "period": period, "moment": moment, "version": version, "sum_of": sum_of,
    **on_item.FUNCTIONS,
}  # fmt: skip
"""By the name that a checklist file has."""
