"""The referral's state machine, and the outcome in the asker's own dialect.

``transitions`` says which moves there are and whose; ``loop`` when the asker must hear of one;
each kind of message has its file and its line in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gateway.close import oru, osu, rri, siu
from gateway.close.case import Case
from gateway.errors import CloseError

KINDS: Final[Mapping[str, Callable[[Case], bytes]]] = {
    "rri": rri.build,
    "osu": osu.build,
    "oru": oru.build,
    "siu": siu.build,
}
"""What a closing profile may name. A daily digest and MDM^T02 are not among them."""


def build(kind: str, case: Case) -> bytes:
    """The closing message of that kind, unframed. CPU-heavy (30 ms): never on the event loop.

    Raises CloseError for an unknown kind, or an original that lacks what the answer repeats.
    """
    if kind not in KINDS:
        raise CloseError("there is no such way to close a loop", place="closes-loops-by")
    return KINDS[kind](case)
