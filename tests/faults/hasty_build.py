"""A gateway that acknowledges early and ends at once on SIGTERM: what ``test_term`` must catch.

No part of the product.
"""

from __future__ import annotations

import os

from gateway.__main__ import main
from gateway.app import Gateway
from gateway.store.hub import Hub
from tests.faults.broken_build import submit_and_promise


async def end(self: Gateway) -> None:
    """Whatever is in hand."""
    os._exit(0)


if __name__ == "__main__":
    Hub.submit = submit_and_promise  # type: ignore[method-assign]
    Gateway.stop = end  # type: ignore[method-assign]
    main()
