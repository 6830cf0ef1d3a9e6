"""What keyboards of all systems have in common: keys that go down go up again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from environments.base import key_name


class HeldKeys(ABC):
    """held: the canonical keys that are down."""

    def __init__(self) -> None:
        self.held: list[str] = []

    @abstractmethod
    def _down(self, key: str) -> None:
        """Press a canonical key. Raises ActionError when this system has none."""

    @abstractmethod
    def _up(self, key: str) -> None: ...

    def down(self, key: str) -> None:
        """Raises ActionError for a key that does not exist."""
        name = key_name(key)
        self._down(name)
        self.held.append(name)

    def up(self, key: str) -> None:
        """Raises ActionError for a key that does not exist."""
        name = key_name(key)
        self._up(name)
        if name in self.held:
            self.held.remove(name)

    def press(self, keys: Sequence[str]) -> None:
        """Together, in order; released in the opposite order whatever happens. Raises ActionError for a key that does not exist."""
        with self.holding([key_name(key) for key in keys]):
            pass

    @contextmanager
    def holding(self, keys: Sequence[str]) -> Iterator[None]:
        """Keys held down meanwhile."""
        down: list[str] = []
        try:
            for key in keys:
                self.down(key)
                down.append(key)
            yield
        finally:
            for key in reversed(down):
                self.up(key)

    def release(self) -> None:
        """Whatever key is down."""
        while self.held:
            self.up(self.held[-1])
