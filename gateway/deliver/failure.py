"""A delivery that didn't arrive, and what that means for the next attempt."""

from __future__ import annotations

from gateway.errors import DeliverError


class Failure(DeliverError):
    """One attempt failed.

    ``retry_after`` is the earliest next attempt in seconds, as the receiver asked (None: as the
    schedule says). ``permanent``: another attempt is of no use; the subscription goes to error.
    ``refused``: the receiver is there and won't have this one; others it may take.
    """

    def __init__(
        self,
        text: str,
        *,
        place: str | None = None,
        retry_after: float | None = None,
        permanent: bool = False,
        refused: bool = False,
    ) -> None:
        super().__init__(text, place=place)
        self.retry_after = retry_after
        self.permanent = permanent
        self.refused = refused
