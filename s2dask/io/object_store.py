"""S3 stores: what a store can do is measured before it is relied on, and no request waits for ever."""

import asyncio
import atexit
import base64
import errno
import hashlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from s3fs import S3FileSystem

from s2dask.errors import ConfigurationError, InputMissing

T = TypeVar("T")
DEADLINE: Final = 60.0
"""Longest time that one operation on a store may take, its repetitions included [s]; what moves data gets more."""
SLOWEST: Final = 1e6
"""Rate at which data are expected to move at the least [B/s]."""
_BULK: Final = 600.0
"""Longest time of an operation on many objects, such as the removal of a tree [s]."""
PATIENCE: Final = 120.0
"""Time that a store which is away, overloaded or refuses us is waited for, before what depends on it fails [s]."""
_LONGEST: Final = 15.0
"""Between two tries of a store that is waited for [s]."""
_PASSING: Final = frozenset({403, 408, 429, 500, 502, 503, 504})
"""HTTP status of what may be over in a while: keys run out and are renewed, too."""
_REFUSED: Final = 412
"""HTTP status of a request whose condition is not met."""
_NOT_IMPLEMENTED: Final = 501

_log = logging.getLogger(__name__)


class DeadlineS3(S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """The file system of s3fs, whose operations end in time.

    Against a server that accepts connections and never answers, the repetitions of s3fs and of botocore multiply to a
    minute and more for each request, and a writer makes thousands.

    Parameters
    ----------
    deadline : float
        Of one operation [s].
    *args, **kwargs
        Of `s3fs.S3FileSystem`; what ``fsspec.config.conf["s3"]`` and the variables ``AWS_…`` and ``FSSPEC_S3_…`` say
        holds here too.
    """

    def __init__(self, *args: Any, deadline: float = DEADLINE, **kwargs: Any) -> None:
        kwargs.setdefault("use_listings_cache", False)  # others write too
        super().__init__(*args, **kwargs)
        self.deadline = float(deadline)

    async def set_session(self, *args: Any, **kwargs: Any) -> Any:
        """Connect; what is opened in Zarr's event loop is closed when the process ends, as s3fs does for its own."""
        fresh = self._s3 is None
        client = await super().set_session(*args, **kwargs)
        if fresh and self.asynchronous:
            atexit.register(self.close_session, asyncio.get_running_loop(), self._s3creator)
        return client

    async def _in_time(self, operation: Awaitable[T], what: str, more: float = 0.0) -> T:
        limit = self.deadline + more
        try:
            return await asyncio.wait_for(operation, limit)
        except TimeoutError:
            # no TimeoutError: s3fs would try again, and fsspec would raise one without a message in its place
            raise ConnectionError(errno.ETIMEDOUT, f"no answer of the store within {limit:.0f} s", what) from None

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        what = f"{method} {kwargs.get('Bucket', '')}/{kwargs.get('Key', kwargs.get('Prefix', ''))}"
        body = kwargs.get("Body", b"")
        more = len(body) / SLOWEST if isinstance(body, bytes) else 0.0
        return await self._in_time(super()._call_s3(method, *args, **kwargs), what, more)

    async def _info(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return await self._in_time(super()._info(path, *args, **kwargs), path)

    async def _lsdir(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return await self._in_time(super()._lsdir(path, *args, **kwargs), path, _BULK)

    async def _find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return await self._in_time(super()._find(path, *args, **kwargs), path, _BULK)

    async def _cat_file(self, path: str, *args: Any, **kwargs: Any) -> Any:
        return await self._in_time(super()._cat_file(path, *args, **kwargs), path)

    async def _pipe_file(self, path: str, data: bytes, *args: Any, **kwargs: Any) -> Any:
        return await self._in_time(super()._pipe_file(path, data, *args, **kwargs), path, len(data) / SLOWEST)

    async def _get_file(self, rpath: str, *args: Any, **kwargs: Any) -> Any:
        return await self._in_time(super()._get_file(rpath, *args, **kwargs), rpath, _BULK)

    async def _put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> Any:
        return await self._in_time(super()._put_file(lpath, rpath, *args, **kwargs), rpath, _BULK)

    async def _bulk_delete(self, pathlist: list[str], **kwargs: Any) -> Any:
        return await self._in_time(super()._bulk_delete(pathlist, **kwargs), f"{len(pathlist)} objects")


def http_status(error: BaseException) -> int:
    """Return the HTTP status of a request that a store refused, 0 where there was no answer."""
    response = getattr(error.__cause__, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def passes(error: BaseException) -> bool:
    """Return whether what a store failed of may be over in a while."""
    if isinstance(error, ConnectionError | TimeoutError) or http_status(error) in _PASSING:
        return True
    if isinstance(error, OSError):
        return error.errno == errno.EIO
    names = {kind.__name__ for kind in type(error).__mro__}
    return "BotoCoreError" in names and "NoCredentialsError" not in names


def patiently(act: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Do something with a store, again and again while it fails of what may pass, and return what it returns.

    Parameters
    ----------
    act : callable
        Harmless when it is repeated.
    what : str
        For the log.
    patience : float
        After so long the failure stands [s]; 0: at once.
    """
    until, pause = time.monotonic() + patience, 1.0
    while True:
        try:
            return act()
        except Exception as error:
            if not passes(error) or time.monotonic() + pause > until:
                raise
            _log.warning("%s: %s; again in %.0f s", what, error, pause)
        time.sleep(pause)
        pause = min(2.0 * pause, _LONGEST)


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.partition("/")
    return bucket, key


def put_if_absent(fs: S3FileSystem, path: str, data: bytes) -> bool:
    """Write a small object in one request unless one of that name is there; return whether it was written.

    Parameters
    ----------
    fs : S3FileSystem
    path : str
        ``bucket/key``.
    data : bytes
        Travels with its MD5, which the server checks.
    """
    bucket, key = _split(path)
    try:
        fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", ContentMD5=_md5(data))
    except OSError as error:
        if http_status(error) == _REFUSED:
            return False
        raise
    return True


def _md5(data: bytes) -> str:
    """Return the MD5 of a body as its request states it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


@dataclass(frozen=True, slots=True)
class ObjectStoreCaps:
    """What a store keeps of the S3 protocol, as measured.

    Attributes
    ----------
    conditional_put : bool
        PUT with ``If-None-Match: *`` is refused where an object is: what publication stands on.
    conditional_multipart : bool
        The same at the end of an upload in parts. Ceph 16 does not know it.
    conditional_delete : bool
        DELETE with ``If-Match`` of another tag is refused. Ceph 16 does not know it.
    quoted_etag, unquoted_etag : bool
        Whether ``If-Match`` takes the tag with its quotes, as HTTP wants it, or without, as Ceph 16 does.
    """

    conditional_put: bool
    conditional_multipart: bool
    conditional_delete: bool
    quoted_etag: bool
    unquoted_etag: bool

    def as_dict(self) -> dict[str, bool]:
        """Return the attributes by name."""
        return asdict(self)

    @classmethod
    def measure(cls, fs: S3FileSystem, root: str) -> "ObjectStoreCaps":
        """Try everything on an object of its own below a folder of the store, ``bucket/prefix``, and remove it."""
        bucket, prefix = _split(root.rstrip("/"))
        key = f"{prefix}/.staging/probe-{uuid.uuid4().hex}".lstrip("/")

        def accepted(method: str, **asked: Any) -> bool:
            try:
                fs.call_s3(method, Bucket=bucket, Key=key, **asked)
            except OSError as error:
                if http_status(error) in (_REFUSED, _NOT_IMPLEMENTED):
                    return False
                raise
            return True

        tag = fs.call_s3("put_object", Bucket=bucket, Key=key, Body=b"probe")["ETag"]
        try:
            return cls(
                conditional_put=not accepted("put_object", Body=b"probe", IfNoneMatch="*"),
                quoted_etag=accepted("put_object", Body=b"probe", IfMatch=tag),
                unquoted_etag=accepted("put_object", Body=b"probe", IfMatch=tag.strip('"')),
                conditional_multipart=not _multipart(fs, bucket, key, accepted),
                conditional_delete=not accepted("delete_object", IfMatch=f'"{"0" * 32}"'),
            )
        finally:
            fs.call_s3("delete_object", Bucket=bucket, Key=key)


def _multipart(fs: S3FileSystem, bucket: str, key: str, accepted: Any) -> bool:
    """Return whether an upload in parts replaces an object although its condition forbids it."""
    upload = fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)["UploadId"]
    told = fs.call_s3("upload_part", Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"probe")
    parts = {"Parts": [{"PartNumber": 1, "ETag": told["ETag"]}]}
    replaced = bool(accepted("complete_multipart_upload", UploadId=upload, MultipartUpload=parts, IfNoneMatch="*"))
    if not replaced:
        fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)
    return replaced


@lru_cache(maxsize=64)
def _capabilities(fs: S3FileSystem, root: str) -> ObjectStoreCaps:
    return ObjectStoreCaps.measure(fs, root)


def publication_caps(fs: S3FileSystem, root: str) -> ObjectStoreCaps:
    """Return what the store of a folder can do, measured once a process; one that cannot keep publication is refused.

    Parameters
    ----------
    fs : S3FileSystem
    root : str
        ``bucket/prefix`` below which products are published.

    Raises
    ------
    ConfigurationError
    InputMissing
        Without the bucket.
    OSError
        Of a store that does not answer or refuses the key (HTTP 403): that may pass.
    """
    try:
        caps = _capabilities(fs, root)
    except FileNotFoundError as error:
        raise InputMissing("no such bucket", f"s3://{root}", "make it, or name another") from error
    except Exception as error:
        if type(error).__name__ != "NoCredentialsError":  # of botocore, which s3fs brings along
            raise
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile"
        raise ConfigurationError("no key for the store", f"s3://{root}", remedy) from None
    _log.info("the store of %s: %s", root, caps)
    if not caps.conditional_put:
        raise ConfigurationError(
            "the store overwrites an object although If-None-Match forbids it: of two publishers both would win",
            f"s3://{root}", "deliver to a store with conditional writes, or to a local folder",
        )  # fmt: skip
    return caps
