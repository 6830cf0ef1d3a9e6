"""A private event loop on its own thread: asynchronous work done for synchronous callers, each within a bound of seconds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines for any thread, also for one that has an event loop of its own."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result], seconds: float) -> Result:
        """The result of the work; it is cancelled, and TimeoutError raised, when it takes longer than the bound."""
        if not self._thread.is_alive():
            work.close()
            raise RuntimeError("the event loop is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except FutureTimeout:
            raise TimeoutError(f"not done within {seconds:g} s") from None
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what is still pending and end the thread; idempotent."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()

    async def _cancel_all(self) -> None:
        mine = asyncio.current_task()
        pending = [task for task in asyncio.all_tasks() if task is not mine]
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=2) if pending else None
        self._loop.call_soon(self._loop.stop)
