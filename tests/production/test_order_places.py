"""Where a run puts things: products in a folder or a store, what it works with in a local folder."""

from pathlib import Path
from typing import Any

import pytest

from s2dask.errors import ConfigurationError
from s2dask.production.campaign_request import Request
from s2dask.production.order import Order


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"out": "s3://bucket/out"}, "--work"),
        ({"out": "s3://bucket/out", "scratch": "s3://bucket/work"}, "working stores are local"),
        ({"out": "gs://bucket/out", "scratch": "/scratch"}, "local or s3://"),
    ],
)
def test_no_place_to_work_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Order(source="/data/session", **asked)


def test_a_working_folder_of_its_own() -> None:
    order = Order(source="/data/session", out="s3://bucket/out", scratch="/scratch")
    assert order.work == Path("/scratch/session")
    assert order.failures == Path("/scratch/.failures")
    assert Order.of(order.spec()).spec() == order.spec()
    here = Order(source="/data/session", out="/products")
    assert (here.work, here.failures) == (Path("/products/.work/session"), Path("/products/.failures"))


def test_that_of_a_campaign() -> None:
    request = Request(name="camp", source="s3://archive/2020", deliver="s3://bucket/out", work="/scratch")
    assert request.home == Path("/scratch")
    assert request.order("s3://archive/2020/a").work == Path("/scratch/a")
    assert Request.of(request.spec()) == request
    with pytest.raises(ConfigurationError, match="--work"):
        Request(name="camp", source="s3://archive/2020", deliver="s3://bucket/out")
