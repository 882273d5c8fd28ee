r"""Text that switches character sets as it goes, by ISO 2022's escapes (HL7 v2.8.2 §2.14.9.18).

The bytes after ``ESC $ B`` are JIS X 0208 until the next escape, and so on; the end of a segment
goes back to the set that the message began in. HL7's own ``\C2842\`` and ``\M2442\`` (§2.7.4) stand
for the same escapes in text that can't hold ESC. Whole text in UTF-16 or UTF-32 is made UTF-8.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Final

JAPANESE: Final = "iso2022_jp_ext"
"""JIS X 0201, 0208 and 0212, which write everything in 7 bits, by escapes."""
_BASE: Final = frozenset({b"(B", b"(J"})
"""ASCII and JIS X 0201's Roman set, which senders mean as ASCII: back to where it began."""

_SETS: Final = {
    **dict.fromkeys((b"$B", b"$@", b"$(D", b"(I"), JAPANESE),
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
    b")I": "shift_jis",
    **{
        b"-" + final: f"iso8859-{part}"
        for final, part in zip(
            (b"A", b"B", b"C", b"D", b"F", b"G", b"H", b"L", b"M", b"b"),
            (1, 2, 3, 4, 7, 6, 8, 5, 9, 15),
            strict=True,
        )
    },
}
_ESCAPE = re.compile(rb"\x1b(\$?[()*+\-./][\x20-\x2f]*[\x40-\x7e]|\$[@AB])")
"""What designates a set (ISO 2022, 6.3); any other ESC is only a byte."""
_RESET = re.compile(rb"(?=[\r\n])")
_HL7 = re.compile(rb"\\[CM]((?:[0-9A-Fa-f]{2}){2,3})\\")
_WIDE: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    ("MSH".encode("utf-32-le"), "utf-32-le"),
    ("MSH".encode("utf-32-be"), "utf-32-be"),
    ("MSH".encode("utf-16-le"), "utf-16-le"),
    ("MSH".encode("utf-16-be"), "utf-16-be"),
)


def switches(raw: bytes) -> bool:
    """Whether the bytes hold an escape to another set."""
    return (b"\x1b" in raw and _ESCAPE.search(raw) is not None) or _known(raw)


def decode(raw: bytes, base: str, otherwise: Callable[[bytes], str]) -> tuple[str, str, bool]:
    """The text; the codec that can write it; and whether all of it could be read.

    ``otherwise`` reads what isn't what its escape says.
    """
    raw = _HL7.sub(_plain_escape, raw)
    read = [_segment(part, base, otherwise) for part in _RESET.split(raw)]
    used = {codec for _, codecs_, _ in read for codec in codecs_}
    codec = used.pop() if len(used) == 1 and base == "ascii" else "utf-8" if used else base
    return "".join(text for text, _, _ in read), codec, all(whole for _, _, whole in read)


def narrowed(raw: bytes) -> bytes:
    """Bytes of UTF-16 or UTF-32, told by their mark or their first letters, as UTF-8.

    Others, and those that break off within a character, stay as they are.
    """
    for beginning, codec in _WIDE:
        if raw.startswith(beginning):
            try:
                return raw.decode(codec).encode()
            except UnicodeError:
                return raw
    return raw


def _known(raw: bytes) -> bool:
    if b"\\C" not in raw and b"\\M" not in raw:
        return False
    return any(bytes.fromhex(code.decode()) in _CODES for code in _HL7.findall(raw))


_CODES: Final = frozenset({*_SETS, *_BASE})


def _plain_escape(match: re.Match[bytes]) -> bytes:
    code = bytes.fromhex(match[1].decode())
    return b"\x1b" + code if code in _CODES else match[0]


def _segment(
    raw: bytes, base: str, otherwise: Callable[[bytes], str]
) -> tuple[str, set[str], bool]:
    first, *rest = _ESCAPE.split(raw)
    texts: list[str] = []
    used: set[str] = set()
    whole = True
    for code, run in zip([b"(B", *rest[::2]], [first, *rest[1::2]], strict=True):
        codec = base if code in _BASE else _SETS.get(code)
        try:
            texts.append(_run(code, run, codec))
        except UnicodeError:
            texts.append(otherwise(run))
            whole = False
        if codec is not None and codec != base:
            used.add(codec)
    return "".join(texts), used, whole


def _run(code: bytes, run: bytes, codec: str | None) -> str:
    if codec is None:
        raise UnicodeError
    return (b"\x1b" + code + run if codec == JAPANESE and code in _SETS else run).decode(codec)
