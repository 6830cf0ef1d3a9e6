"""A local web server for the little pages of tests/pages, with addresses that are slow, broken or downloads."""

from __future__ import annotations

import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

PAGES = Path(__file__).parent / "pages"


class PageServer:
    """Serves on a free port of every local name; a context manager."""

    def __init__(self, folder: Path = PAGES) -> None:
        self._server = ThreadingHTTPServer(("", 0), partial(_Answers, directory=str(folder)))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, page: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self._server.server_port}/{page}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Answers(SimpleHTTPRequestHandler):
    """The pages; beside them, addresses that misbehave.

    /slow?seconds=S answers late, /stall?seconds=S never to its end, /download?name=N is a file, /missing is a 404.
    """

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if asked.path == "/slow":
            time.sleep(float(query["seconds"]))
            self._answer(b"<title>Slow</title>arrived", "text/html")
        elif asked.path == "/stall":
            self._answer(b"<title>Stalled</title><p>begun</p>" + b" " * 2000, "text/html", missing=1000)
            time.sleep(float(query["seconds"]))
        elif asked.path == "/download":
            self._answer(b"a report\n" * 100, "application/octet-stream", f'attachment; filename="{query["name"]}"')
        else:
            super().do_GET()

    def _answer(self, body: bytes, kind: str, disposition: str = "inline", missing: int = 0) -> None:
        """missing: bytes that are announced but do not come."""
        try:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Disposition", disposition)
            self.send_header("Content-Length", str(len(body) + missing))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the browser has stopped waiting

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""
