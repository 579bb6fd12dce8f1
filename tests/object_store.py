"""An object store for the tests: the part of the S3 protocol that reading takes, over the files of a folder."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class _Handler(BaseHTTPRequestHandler):
    """Answers ListObjectsV2, HeadObject and GetObject; the bucket is the folder."""

    protocol_version = "HTTP/1.1"

    def __init__(self, root: Path, *args: object) -> None:
        self.root = root
        super().__init__(*args)  # type: ignore[arg-type]  # those of the base

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base
        """Say nothing."""

    def _reply(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _list(self, prefix: str) -> bytes:
        files = sorted(p for p in self.root.rglob("*") if p.is_file())
        keys = [(str(p.relative_to(self.root)), p) for p in files]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_date(path):%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
            f"<ETag>{_tag(path)}</ETag><Size>{path.stat().st_size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key, path in keys
            if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()

    def do_GET(self) -> None:
        """List, or send an object or a range of it."""
        url = urlsplit(self.path)
        query, key = parse_qs(url.query), unquote(url.path).strip("/").partition("/")[2]
        if not key:
            self._reply(200, self._list(query.get("prefix", [""])[0]), Content_Type="application/xml")
            return
        path = self.root / key
        if not path.is_file():
            self._reply(404, b"<Error><Code>NoSuchKey</Code></Error>", Content_Type="application/xml")
            return
        data, span = path.read_bytes(), self.headers.get("Range")
        about = {"ETag": _tag(path), "Last_Modified": f"{_date(path):%a, %d %b %Y %H:%M:%S} GMT"}
        if span is None:
            self._reply(200, data, **about)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        self._reply(206, part, Content_Range=f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}", **about)

    def do_HEAD(self) -> None:
        """Tell size and tag of an object."""
        path = self.root / unquote(urlsplit(self.path).path).strip("/").partition("/")[2]
        if not path.is_file():
            self._reply(404)
            return
        date = f"{_date(path):%a, %d %b %Y %H:%M:%S} GMT"
        self._reply(200, length=path.stat().st_size, ETag=_tag(path), Last_Modified=date)


def _date(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _tag(path: Path) -> str:
    return f'"{md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"'


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """Serve the files of a folder as those of a bucket, and yield the address of the store."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, root))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
