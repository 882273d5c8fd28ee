"""Writes Patients to a hub for ever and prints each id once it was acknowledged; to be killed."""

from __future__ import annotations

import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

from gateway.store import open_hub
from tests.store.samples import CLINIC, create, patient


def main() -> None:
    hub = open_hub(sys.argv[1])

    def write(_: int) -> None:
        while True:
            id = str(uuid.uuid4())
            create(hub, CLINIC, patient(id))
            sys.stdout.write(f"{id}\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))


if __name__ == "__main__":
    main()
