"""MLLP's frame (HL7 Transport Specification: MLLP, Release 1): ``<VT> message <FS><CR>``."""

from __future__ import annotations

from typing import Final

VT: Final = b"\x0b"
FS: Final = b"\x1c"
CR: Final = b"\r"

_RESTART: Final = VT + b"MSH"


def frame(message: bytes) -> bytes:
    """Wrap a message, which must not hold FS itself."""
    return VT + message + FS + CR


class Deframer:
    """Cuts a stream into messages, wherever the reads split it; linear in what is fed.

    A missing CR after FS is forgiven, and what stands between frames is passed over. A frame that
    begins anew inside another (the sender broke off before FS) replaces it: half a message has not
    been sent. ``limit`` is the largest message in bytes; a frame that outgrows it sets
    ``overflow`` to its beginning, and from then on nothing is read.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.overflow: bytes | None = None
        self._pending = bytearray()
        self._inside = False

    @property
    def held(self) -> int:
        """The bytes of a message that isn't whole yet."""
        return len(self._pending)

    def give_up(self, instead: bytes | None = None) -> None:
        """As if the message, or another one ``instead``, had outgrown the limit."""
        self.overflow = bytes(self._pending) if instead is None else instead
        self._pending.clear()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that ``data`` completes, without their frames."""
        messages: list[bytes] = []
        position = 0
        while position < len(data) and self.overflow is None:
            if not self._inside:
                position = data.find(VT, position) + 1
                if not position:
                    break
                self._inside = True
            end = data.find(FS, position)
            self._take(data[position:] if end < 0 else data[position:end])
            if end < 0 or self.overflow is not None:
                break
            messages.append(self._complete())
            position = end + 1
        return messages

    def _take(self, piece: bytes) -> None:
        self._pending += piece
        if len(self._pending) > self.limit:
            del self._pending[self.limit :]
            self.give_up()

    def _complete(self) -> bytes:
        self._inside = False
        _, restart, message = bytes(self._pending).rpartition(_RESTART)
        self._pending.clear()
        return restart[1:] + message
