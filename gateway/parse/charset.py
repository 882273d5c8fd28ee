"""From bytes to text: the character set of MSH-18 (HL7 table 0211), and what to do when it lies.

Senders often declare one set and send another. What can't be read as declared is read as UTF-8 if
it is UTF-8, else as windows-1252, in which every byte has a meaning, so nothing is lost; and the
text comes with a warning. The raw bytes are the caller's to keep.

MSH-18's later repetitions are sets that the text may switch to by ISO 2022 escapes (``shifting``).
"""

from __future__ import annotations

import codecs
import re
from typing import Final, NamedTuple

from gateway.errors import Issue, ParseError
from gateway.parse import shifting
from gateway.parse.shifting import JAPANESE

UTF_8: Final = "utf-8"
WINDOWS_1252: Final = "windows-1252"

_CODECS: Final = {
    "ASCII": "ascii",
    "ISOIR6": "ascii",
    "UNICODEUTF8": UTF_8,
    "UNICODE": UTF_8,
    "UTF8": UTF_8,
    **{f"8859{part}": f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    **{f"ISO8859{part}": f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    "ISOIR14": "shift_jis",
    "ISOIR87": JAPANESE,
    "ISOIR159": JAPANESE,
    "GB18030": "gb18030",
    "UNICODEUTF16": UTF_8,
    "UNICODEUTF32": UTF_8,
    "GB180302000": "gb18030",
    "KSX1001": "euc_kr",
    "BIG5": "big5",
    "WINDOWS1252": WINDOWS_1252,
    "CP1252": WINDOWS_1252,
}
_C1 = re.compile(rb"[\x80-\x9f]")
_WINDOWS: Final = {
    byte: bytes([byte]).decode("cp1252")
    for byte in range(0x80, 0xA0)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)  # undefined: they stay C1 controls
}


class Decoded(NamedTuple):
    """``text`` as read with ``codec`` (a name that Python knows), and why not as declared."""

    text: str
    codec: str
    warnings: tuple[Issue, ...] = ()


def decode(raw: bytes, name: str, charset: str = "auto") -> Decoded:
    """Read a message's bytes; never fails on bytes.

    ``name`` is MSH-18's first set as sent ("" for none); what is really UTF-16 or 32 has become
    UTF-8 before (``shifting.narrowed``). Where the bytes switch sets, they say so themselves, and
    go before the name. ``charset`` other than "auto"
    is what the agency is known to send, and goes before it: a name of table 0211 or of Python's,
    or ParseError.
    """
    if charset != "auto":
        return _known(raw, _configured(charset))
    codec = _CODECS.get(_plain(name))
    if shifting.switches(raw):
        return _switching(raw, None if codec == JAPANESE else codec)
    if codec is None:
        return _undeclared(raw, named=bool(name))
    if raw.isascii():
        return Decoded(raw.decode("ascii"), codec)
    if codec == "ascii":
        return _guess(raw, "the bytes aren't ASCII, which MSH-18 names")
    if codec == "iso8859-1":
        return _latin_1(raw)
    return _known(raw, codec)


def _switching(raw: bytes, base: str | None) -> Decoded:
    """Bytes that switch sets as they go; ``base`` is the set that they begin in."""
    text, codec, whole = shifting.decode(raw, base or "ascii", windows_1252)
    because = "a character set that the text switches to isn't known, or its bytes aren't in it"
    return Decoded(text, codec, () if whole else (_warning(f"{because}; read as windows-1252"),))


def windows_1252(raw: bytes) -> str:
    """Read bytes as windows-1252, its five undefined ones as the C1 controls of their number."""
    return raw.decode("latin-1").translate(_WINDOWS)


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.upper()))


def _configured(charset: str) -> str:
    try:
        codec = _CODECS.get(_plain(charset)) or codecs.lookup(charset).name
        "".encode(codec)  # Python also knows codecs that aren't text, like base64
    except (LookupError, ValueError):  # a name with a NUL is a ValueError
        raise ParseError(
            "the agency's charset isn't one that is known", place="MSH-18", code="not-supported"
        ) from None
    return codec


def _undeclared(raw: bytes, *, named: bool) -> Decoded:
    warnings = (_warning("MSH-18 names no character set that is known"),) if named else ()
    try:
        return Decoded(raw.decode(UTF_8), UTF_8, warnings)
    except UnicodeDecodeError:
        return Decoded(
            windows_1252(raw),
            WINDOWS_1252,
            (*warnings, _warning("no known character set is declared; read as windows-1252")),
        )


def _known(raw: bytes, codec: str) -> Decoded:
    if codec == WINDOWS_1252 or codec == "cp1252":
        return Decoded(windows_1252(raw), WINDOWS_1252)
    try:
        return Decoded(raw.decode(codec), codec)
    except UnicodeError:
        return _guess(raw, "the bytes aren't in the declared character set")


def _latin_1(raw: bytes) -> Decoded:
    """ISO 8859-1 reads any bytes, so a lie shows by what it would say.

    Whole UTF-8 would be runs such as "Ã©"; the C1 controls are windows-1252's quotes and dashes.
    """
    if _C1.search(raw) or _is_utf_8(raw):
        return _guess(raw, "the bytes aren't ISO 8859-1, which MSH-18 names")
    return Decoded(raw.decode("latin-1"), "iso8859-1")


def _guess(raw: bytes, because: str) -> Decoded:
    if _is_utf_8(raw):
        return Decoded(raw.decode(UTF_8), UTF_8, (_warning(f"{because}; read as UTF-8"),))
    because = f"{because}; read as windows-1252"
    return Decoded(windows_1252(raw), WINDOWS_1252, (_warning(because),))


def _is_utf_8(raw: bytes) -> bool:
    return _reads(raw, UTF_8)


def _reads(raw: bytes, codec: str) -> bool:
    try:
        raw.decode(codec)
    except UnicodeError:
        return False
    return True


def _warning(text: str) -> Issue:
    return Issue(text, "MSH-18", "value", "103", "warning")
