"""The public messages that tests run on: kept outside the repository, each under its own licence.

They are looked for in ``GATEWAY_CORPORA``, else in ``shared/corpora`` beside the checkout.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

CORPORA = Path(
    os.environ.get("GATEWAY_CORPORA")
    or Path(__file__).resolve().parent.parent.parent / "shared" / "corpora"
)

REASON = f"no corpora at {CORPORA}: set GATEWAY_CORPORA to the folder of public test messages"

needs_corpora = pytest.mark.skipif(not (CORPORA / "v2_index.tsv").is_file(), reason=REASON)
"""Marks a test that reads ``CORPORA``; also mark it ``pytest.mark.corpora``."""

_SEGMENT_START = re.compile(
    rb"(?:(?<=[\r\n])|\A(?:\xef\xbb\xbf)?)[ \t\x0b]*(MSH|FHS|BHS|FTS|BTS)(?=\W)"
)

_ABSENT = {"?": "", "(empty)": ""}  # how the index words a message without MSH-9


class Sample(NamedTuple):
    """One HL7 v2 message: its file below ``CORPORA``, ordinal in it from 0, bytes, and index row.

    ``msh9`` ("REF^I12") and ``version`` are as the index gives them: "" where the message has none.
    """

    file: str
    n: int
    raw: bytes
    msh9: str
    version: str


def messages() -> Iterator[Sample]:
    """Every HL7 v2 message of ``v2_index.tsv``, in its order, duplicates included."""
    split: dict[str, list[bytes]] = {}
    with (CORPORA / "v2_index.tsv").open(encoding="utf-8", newline="") as index:
        for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE):
            file, n = row["file"], int(row["n"])
            if file not in split:
                split[file] = split_messages((CORPORA / file).read_bytes())
            msh9, version = (row[key].strip("'") for key in ("msh9", "version"))
            yield Sample(file, n, split[file][n], _ABSENT.get(msh9, msh9), version)


def split_messages(raw: bytes) -> list[bytes]:
    """The messages of a file, each from its MSH; batch headers and trailers are left out."""
    starts = [(match.start(1), match[1]) for match in _SEGMENT_START.finditer(raw)]
    ends = [start for start, _ in starts[1:]] + [len(raw)]
    return [
        raw[start:end] for (start, name), end in zip(starts, ends, strict=True) if name == b"MSH"
    ]
