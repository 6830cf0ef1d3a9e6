"""Files that pages hand over: kept in one folder under safe, unique names, and told of. Knows no page."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Download, Error


class Downloads:
    """The folder and what is on its way into it. Without a folder of its own it makes a temporary one, removed by `close`."""

    def __init__(self, folder: Path | None, tell: Callable[[str], None]) -> None:
        self._folder, self._tell = folder, tell
        self._temporary: Path | None = None
        self._taken: set[Path] = set()
        self._arriving: set[asyncio.Task[None]] = set()

    def receive(self, download: Download) -> None:
        task = asyncio.ensure_future(self._save(download))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def arrived(self, seconds: float) -> None:
        """Wait for what is on its way, within the bound; what has not arrived by then is told of as still coming."""
        if self._arriving:
            _, late = await asyncio.wait(set(self._arriving), timeout=seconds)
            if late:
                self._tell(f"{len(late)} download(s) still in progress.")

    async def _save(self, download: Download) -> None:
        path = self._place(download.suggested_filename)
        try:
            await download.save_as(path)
            self._tell(f"Downloaded {path.name} ({_size(path)}) to {path}.")
        except Error:
            self._tell(f"The download of {path.name} failed: {await _failure(download)}.")
        except OSError as error:
            self._tell(f"{path.name} could not be saved: {error.strerror}.")

    def _place(self, suggested: str) -> Path:
        """A path that names nothing yet, inside the folder whatever the page suggests."""
        folder = self._home()
        name = re.sub(r"[\x00-\x1f/\\:*?\"<>|]+", "_", suggested).strip(" .")[-150:] or "download"
        path = folder / name
        count = 1
        while path in self._taken or path.exists():
            count += 1
            path = folder / f"{Path(name).stem} ({count}){Path(name).suffix}"
        self._taken.add(path)
        return path

    def _home(self) -> Path:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._folder
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="glimpse-downloads-"))
        return self._temporary

    def close(self) -> None:
        """Remove the temporary folder, if one was made."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None


async def _failure(download: Download) -> str:
    try:
        return await download.failure() or "it could not be saved"
    except Error:
        return "its page has closed"


def _size(path: Path) -> str:
    size = float(path.stat().st_size)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
