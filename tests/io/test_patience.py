"""A store that is away is waited for, as long as that may help."""

import errno

import pytest

from s2dask.errors import ConfigurationError
from s2dask.io import object_store
from s2dask.io.object_store import passes, patiently


class _Answer(Exception):
    def __init__(self, status: int) -> None:
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}
        super().__init__(f"an answer with {status}")


def _refused(status: int) -> OSError:
    """Return what a file system raises of an answer."""
    error = OSError("no")
    error.__cause__ = _Answer(status)
    return error


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (ConnectionError("gone"), True), (TimeoutError("late"), True), (_refused(503), True), (_refused(403), True),
        (OSError(errno.EIO, "damaged"), True), (_refused(404), False), (_refused(412), False),
        (OSError(errno.ENOSPC, "full"), False), (ConfigurationError("other content"), False), (ValueError("x"), False),
    ],
)  # fmt: skip
def test_what_may_pass(error: Exception, may: bool) -> None:
    assert passes(error) is may


def test_it_is_tried_until_it_works_or_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(object_store.time, "sleep", sleep)
    monkeypatch.setattr(object_store.time, "monotonic", lambda: clock[0])
    left = [5]

    def act() -> str:
        left[0] -= 1
        if left[0] > 0:
            raise ConnectionError("away")
        return "done"

    assert patiently(act, "it", 120.0) == "done"
    assert slept == [1.0, 2.0, 4.0, 8.0]
    left[0], clock[0] = 1000, 0.0
    with pytest.raises(ConnectionError, match="away"):
        patiently(act, "it", 60.0)
    assert clock[0] <= 60.0
    with pytest.raises(ConnectionError):
        patiently(act, "it", 0.0)
