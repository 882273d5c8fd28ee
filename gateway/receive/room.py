"""How much all that a listener's senders sent, and nobody has taken up, may take together.

Halves of messages, and whole ones that are held back.

Each message has its limit, but ten thousand senders that each begin a large one and stop would
take all memory. What takes the most then gives way, so that whoever sends and ends isn't harmed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

HALVES: Final = 16
"""How many half messages of the largest size there is room for."""


class Holder(Protocol):
    """Who holds ``held`` bytes of messages, as ``Room.count`` was last told."""

    held: int

    def give_way(self) -> None:
        """Let go of it, and tell its sender."""


class Room:
    """The bytes that are taken now, of ``most``."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def count(self, holder: Holder, held: int, all_: Iterable[Holder]) -> None:
        """``holder`` holds so much now; where that is too much, who holds the most gives way."""
        self.taken += held - holder.held
        holder.held = held
        if self.taken > self.most:
            max(all_, key=lambda each: each.held).give_way()
