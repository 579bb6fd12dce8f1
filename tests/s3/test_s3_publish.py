"""Publication in a real S3 store: whole or not at all, whatever becomes of the server, the key or the other one."""

import contextlib
import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rasterio
import zarr
from ceph_server import Ceph
from release_model import GRID, NAMES, make_l1c
from s3fs import S3FileSystem

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io import object_store
from s2dask.io.object_store import DeadlineS3, ObjectStoreCaps
from s2dask.io.storage import filesystem, zarr_store
from s2dask.release import publish_objects
from s2dask.release.publish import publish, verify
from s2dask.release.publish_objects import check_store, read_manifest, reap
from s2dask.release.tile import release_l1c

pytestmark = pytest.mark.slow  # the server takes 12 s to start


def files(content: str = "x", number: int = 3) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / "product.zarr" / "c").mkdir(parents=True)
        for k in range(number):
            (folder / "product.zarr" / "c" / str(k)).write_text(f"{content}{k}")

    return build


def objects(bucket: str) -> set[str]:
    fs, path = filesystem(bucket)
    return {name.removeprefix(f"{path}/") for name in fs.find(path)}


def test_what_the_store_can_do_is_measured(bucket: str) -> None:
    fs, path = filesystem(bucket)
    caps = ObjectStoreCaps.measure(fs, f"{path}/out")
    assert caps == ObjectStoreCaps(
        conditional_put=True, conditional_multipart=False, conditional_delete=False, quoted_etag=False,
        unquoted_etag=True,
    )  # fmt: skip
    assert objects(bucket) == set()


def test_a_store_that_overwrites_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    careless = ObjectStoreCaps(False, False, False, True, False)
    monkeypatch.setattr(object_store, "_capabilities", lambda *_: careless)
    with pytest.raises(ConfigurationError, match="both would win"):
        publish([files()], f"{bucket}/out/d")
    assert objects(bucket) == set()


def test_a_delivery_is_one_manifest_and_its_objects(bucket: str) -> None:
    url = f"{bucket}/out/d"
    paths = publish([files()], url, job="TILE-T28SCB", fence=7)
    manifest = read_manifest(url)
    assert manifest is not None
    generation = manifest["generation"]
    assert paths == [f"{url}/{generation}/product.zarr", f"{url}/manifest.json"]
    assert objects(bucket) == {
        "out/d/manifest.json", *(f"out/d/{generation}/product.zarr/c/{k}" for k in range(3)),
    }  # fmt: skip
    assert verify(url) == []
    assert publish([files()], url) == paths
    with pytest.raises(ConfigurationError, match="other content"):
        publish([files("y")], url)
    assert len(objects(bucket)) == 4
    fs, path = filesystem(url)
    fs.pipe_file(f"{path}/{generation}/product.zarr/c/1", b"z1")
    fs.rm_file(f"{path}/{generation}/product.zarr/c/2")
    assert verify(url) == ["product.zarr/c/1 has changed", "product.zarr/c/2 is missing"]
    with pytest.raises(InputMissing, match="manifest"):
        verify(f"{bucket}/out/another")


def test_outside_readers_see_the_product(bucket: str, ceph: Ceph, tmp_path: Path) -> None:
    store = make_l1c(tmp_path / "work.zarr")
    paths = {p.rsplit(".", 1)[-1]: p for p in release_l1c(store, f"{bucket}/out")}
    name = NAMES["L1C"]
    assert verify(f"{bucket}/out/{name}") == []
    # plain zarr over plain s3fs: nothing of ours
    plain = zarr.open_group(paths["zarr"], mode="r", storage_options={"client_kwargs": {"endpoint_url": ceph.url}})
    ours = zarr.open_group(zarr_store(paths["zarr"], read_only=True), mode="r")
    variable = "measurements/reflectance/r10m/b04"
    assert (plain[variable][:] == ours[variable][:]).all()  # type: ignore[index]
    options = {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{ceph.port}", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    }  # fmt: skip
    path = paths["SAFE"].removeprefix("s3://")
    with rasterio.Env(**options), rasterio.open(f"SENTINEL2_L1C:/vsis3/{path}/MTD_MSIL1C.xml:10m:EPSG_32628") as source:
        assert source.shape == GRID.shape(10)
        assert source.read(1).any()


def test_of_two_publishers_one_wins(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url, gate = f"{bucket}/out/d", threading.Barrier(4)
    put = publish_objects.put_if_absent

    def together(fs: S3FileSystem, path: str, data: bytes) -> bool:
        gate.wait()
        return put(fs, path, data)

    monkeypatch.setattr(publish_objects, "put_if_absent", together)
    told: dict[int, object] = {}

    def one(k: int) -> None:
        try:
            told[k] = publish([files("same" if k < 2 else f"other{k}")], url)
        except ConfigurationError as error:
            told[k] = error

    threads = [threading.Thread(target=one, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(url) == []
    won = [k for k, answer in told.items() if isinstance(answer, list)]
    assert won in ([0, 1], [1, 0], [2], [3])
    assert all("other content" in str(told[k]) for k in range(4) if k not in won)
    assert len({str(told[k]) for k in won}) == 1
    assert len(objects(bucket)) == 4


@pytest.mark.parametrize("when", ["upload", "manifest"])
def test_a_killed_publisher_leaves_nothing_visible(bucket: str, ceph: Ceph, when: str) -> None:
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from s2dask.release import publish_objects
        from s2dask.release.publish import publish
        def build(folder):
            (folder / "a").write_text("x")
        def die(*args):
            os.kill(os.getpid(), signal.SIGKILL)
        publish_objects.{"differences" if when == "upload" else "put_if_absent"} = die
        publish([build], {f"{bucket}/out/d"!r}, job="J", fence=1)
    """)
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    left = objects(bucket)
    assert {name.rsplit("/", 1)[-1] for name in left} == {"a", "1.json"}
    assert read_manifest(f"{bucket}/out/d") is None
    assert reap(f"{bucket}/out").under_way == (f"{bucket}/out/.staging/J/1.json",)
    paths = publish([files()], f"{bucket}/out/d", job="J", fence=2)
    found = reap(f"{bucket}/out", known=[], stale=timedelta(0))
    assert [url.rpartition("/")[0] for url in found.removed] == [f"{bucket}/out/d"]
    assert found.unknown == (f"{bucket}/out/d",)
    assert verify(f"{bucket}/out/d") == []
    assert publish([files()], f"{bucket}/out/d") == paths
    assert reap(f"{bucket}/out", known=[f"{bucket}/out/d/"], stale=timedelta(0)) == publish_objects.Reaped((), (), ())


def test_a_lost_answer_is_not_a_lost_product(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put, url = publish_objects.put_if_absent, f"{bucket}/out/d"

    def deaf(fs: S3FileSystem, path: str, data: bytes) -> bool:
        put(fs, path, data)
        raise TimeoutError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(publish_objects, "put_if_absent", deaf)
        with pytest.raises(TimeoutError, match="no answer"):
            publish([files()], url)
    assert len(publish([files()], url)) == 2
    assert reap(f"{bucket}/out", stale=timedelta(0)).removed == ()
    assert verify(url) == []
    # the same, when the request is repeated: our own product is in the way
    monkeypatch.setattr(publish_objects, "put_if_absent", lambda *args: put(*args) and put(*args))
    assert len(publish([files()], f"{bucket}/out/e")) == 2
    assert verify(f"{bucket}/out/e") == []


def test_damage_on_the_way_is_seen(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put = DeadlineS3._put_file

    async def damaged(self: DeadlineS3, source: str, target: str, **kwargs: Any) -> None:
        await put(self, source, target, **kwargs)
        if target.endswith("/1"):
            await self._pipe_file(target, b"??")

    monkeypatch.setattr(DeadlineS3, "_put_file", damaged)
    DeadlineS3.clear_instance_cache()
    with pytest.raises(OSError, match=r"product\.zarr/c/1 has changed"):
        publish([files()], f"{bucket}/out/d")
    assert objects(bucket) == set()


def test_a_wrong_key_is_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guess")
    DeadlineS3.clear_instance_cache()
    with pytest.raises(ConfigurationError, match="the store refuses us"):
        check_store(f"{bucket}/out")
    with pytest.raises(PermissionError):
        publish([files()], f"{bucket}/out/d")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S2SECRET")
    DeadlineS3.clear_instance_cache()
    check_store(f"{bucket}/out")
    with pytest.raises(InputMissing, match="no such bucket"):
        check_store("s3://another-bucket/out")
    with pytest.raises(InputMissing, match="no such bucket"):
        publish([files()], "s3://another-bucket/out/d")
    assert objects(bucket) == set()


def test_a_full_store_takes_nothing_in_part(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    key, secret = ceph.poor_user("poor", 6)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    DeadlineS3.clear_instance_cache()
    filesystem("s3://poor")[0].call_s3("create_bucket", Bucket="poor")
    with pytest.raises(OSError):  # noqa: PT011 - "QuotaExceeded" is only in the answer's code
        publish([files(number=30)], "s3://poor/out/d")
    assert read_manifest("s3://poor/out/d") is None
    assert objects("s3://poor") == set()
    publish([files(number=2)], "s3://poor/out/e")
    assert verify("s3://poor/out/e") == []


def test_a_frozen_server_is_an_error_in_time(bucket: str, ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{bucket}/out/d"
    fs, path = filesystem(url)
    fs.pipe_file(f"{path}/manifest.json", b"{}")
    store = zarr_store(f"{bucket}/store.zarr")
    zarr.create_group(store)
    monkeypatch.setattr(fs, "deadline", 2.0)
    monkeypatch.setattr(store.fs, "deadline", 2.0)
    ceph.freeze()
    try:
        begun = time.monotonic()
        with pytest.raises(ConnectionError, match="no answer of the store within 2 s"):
            fs.cat_file(f"{path}/manifest.json")
        with pytest.raises(ConnectionError, match="no answer of the store within 2 s"):
            zarr.open_group(store, mode="r")
        assert time.monotonic() - begun < 6.0
    finally:
        ceph.thaw()
    assert fs.cat_file(f"{path}/manifest.json") == b"{}"
    assert list(zarr.open_group(store, mode="r")) == []


@pytest.mark.parametrize("how", ["freeze", "kill"])
def test_a_server_that_goes_away_half_way(bucket: str, ceph: Ceph, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{bucket}/out/d"
    publish([files()], f"{bucket}/out/first")
    put, sent = DeadlineS3._put_file, []

    async def until_the_third(self: DeadlineS3, source: str, target: str, **kwargs: Any) -> None:
        sent.append(target)
        if len(sent) == 3:
            getattr(ceph, how)()
        await put(self, source, target, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DeadlineS3, "_put_file", until_the_third)
        DeadlineS3.clear_instance_cache()
        fs, _ = filesystem(url)
        publish_objects.publication_caps(fs, f"{bucket}/out".removeprefix("s3://"))
        patch.setattr(fs, "deadline", 2.0)
        with pytest.raises(OSError):  # noqa: PT011 - no answer, or a refused connection
            publish([files(number=12)], url)
    {"freeze": ceph.thaw, "kill": ceph.revive}[how]()
    DeadlineS3.clear_instance_cache()
    assert read_manifest(url) is None
    assert verify(f"{bucket}/out/first") == []
    publish([files(number=12)], url)
    assert verify(url) == []
    reap(f"{bucket}/out", stale=timedelta(0))
    manifest = read_manifest(url)
    assert manifest is not None
    assert {name.split("/")[2] for name in objects(f"{bucket}") if name.startswith("out/d/")} == {
        manifest["generation"], "manifest.json",
    }  # fmt: skip
    assert json.dumps(manifest)


@pytest.mark.parametrize(
    ("fault", "when"),
    [("dead", "_put_file"), ("refusing", "differences"), ("dead", "put_if_absent"), ("overloaded", "put_if_absent")],
)
def test_a_store_that_is_away(bucket: str, ceph: Ceph, fault: str, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it goes while objects are laid down, before they are read again, or before the manifest."""
    url, built, away = f"{bucket}/out/d", [], contextlib.ExitStack()
    faults = {"dead": ceph.away, "overloaded": ceph.overloaded, "refusing": ceph.refusing}
    gone = threading.Event()

    def go() -> None:
        if not gone.is_set():
            gone.set()
            away.enter_context(faults[fault]())
            threading.Timer(4.0, away.close).start()

    if when == "_put_file":
        put = DeadlineS3._put_file

        async def put_file(self: DeadlineS3, source: str, target: str, **kwargs: Any) -> None:
            if target.endswith("/1"):
                go()
            await put(self, source, target, **kwargs)

        monkeypatch.setattr(DeadlineS3, "_put_file", put_file)
    else:
        act: Callable[..., Any] = getattr(publish_objects, when)
        monkeypatch.setattr(publish_objects, when, lambda *given: (go(), act(*given))[1])
    DeadlineS3.clear_instance_cache()

    def build(folder: Path) -> None:
        built.append(folder)
        files()(folder)

    products = publish([build], url, patience=60.0)
    assert gone.is_set()
    assert len(built) == 1
    assert verify(url) == []
    assert len(products) == 2
    reap(f"{bucket}/out", stale=timedelta(0))
    manifest = read_manifest(url)
    assert manifest is not None
    assert objects(bucket) == {
        "out/d/manifest.json", *(f"out/d/{manifest['generation']}/product.zarr/c/{k}" for k in range(3)),
    }  # fmt: skip
