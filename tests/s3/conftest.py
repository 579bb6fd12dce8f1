"""The real S3 server that the tests of this folder share."""

from collections.abc import Iterator

import pytest
from ceph_server import Ceph, absent

from s2dask.io.object_store import DeadlineS3
from s2dask.io.storage import filesystem


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    if absent():
        pytest.skip(f"no {', '.join(absent())}: deploy/ceph/rgw.sh --install")
    one = Ceph.start(tmp_path_factory.mktemp("ceph"))
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def ceph(server: Ceph, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ceph]:
    """Return the server, for whom the environment of the test speaks."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    DeadlineS3.clear_instance_cache()
    yield server
    DeadlineS3.clear_instance_cache()


@pytest.fixture
def bucket(ceph: Ceph, request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty bucket of the test's own."""
    name = request.node.name.replace("_", "-").replace("[", "-").strip("]")[:60].lower().strip("-")
    filesystem(f"s3://{name}")[0].call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"
