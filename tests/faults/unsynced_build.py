"""A gateway that leaves it to the system when its log gets on disk: what ``test_power`` must catch.

No part of the product.
"""

from __future__ import annotations

from gateway.__main__ import main
from gateway.store import disk

if __name__ == "__main__":
    disk._sync = lambda file: None  # type: ignore[misc]
    main()
