"""The bench of FHIR's client: raw HTTP/1.1 requests, sent as they stand in a file.

``python -m tests.bench.http_client PORT CONNECTIONS FILE`` reads a JSON list of texts, and prints a
line of JSON: requests a second, p50 and p99 in milliseconds, and how many answers weren't 2xx.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.bench.load import run

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def is_whole(answer: bytes) -> bool:
    """Whether head and body are here."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    if not blank:
        return False
    length = _LENGTH.search(head)
    return length is None or len(body) >= int(length[1])


def is_good(answer: bytes) -> bool:
    """Whether the status is 2xx."""
    return answer[9:10] == b"2"


if __name__ == "__main__":
    port, connections, file = sys.argv[1:]
    requests = [each.encode() for each in json.loads(Path(file).read_text(encoding="utf-8"))]
    print(json.dumps(run(int(port), int(connections), requests, is_whole, is_good)))
