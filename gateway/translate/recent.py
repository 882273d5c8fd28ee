"""A memory of bounded size that keeps what is asked for, and lets go of what isn't."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

REMEMBERED: Final = 4096
"""How many things are remembered: a few megabytes."""

FORGOTTEN: Final[Any] = object()
"""What stands for a key that isn't known."""


class Recent(dict[Hashable, Any]):
    """``memory[key]``: what was kept, or ``FORGOTTEN``.

    It has two halves. A full one becomes the older, and what is asked for there comes back: so a
    code that matters stays, and a patient's name, which doesn't come again, goes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._older: dict[Hashable, Any] = {}

    def __missing__(self, key: Hashable) -> Any:
        found = self._older.get(key, FORGOTTEN)
        if found is not FORGOTTEN:
            self.keep(key, found)
        return found

    def keep(self, key: Hashable, value: Any) -> None:
        """Remember a value, which nobody changes any more."""
        if len(self) >= REMEMBERED // 2:
            self._older = dict(self)
            self.clear()
        self[key] = value
