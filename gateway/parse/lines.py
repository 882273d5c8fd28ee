"""Segments as lines (HL7 v2.8.2 §2.6): CR ends one; LF and CRLF do too, as many senders mean it."""

from __future__ import annotations


def segment_lines(text: str, mark: str) -> tuple[list[str], list[int]]:
    """The segments' texts, and which of them (by index) a line break had cut in two.

    A line that can't be a segment belongs to the one before it.
    """
    pieces: list[list[str]] = []
    broken: dict[int, None] = {}
    for line in text.replace("\r\n", "\r").replace("\n", "\r").split("\r"):
        if _begins_segment(line, mark):
            pieces.append([line])
        elif _begins_segment(stripped := line.lstrip(), mark):
            pieces.append([stripped])
        elif stripped:
            pieces[-1].append(line)
            broken[len(pieces) - 1] = None
    return ["\n".join(piece) for piece in pieces], list(broken)


def _begins_segment(line: str, mark: str) -> bool:
    name = line[:3]
    return line[3:4] in (mark, "") and len(name) == 3 and name.isupper() and name.isalnum()
