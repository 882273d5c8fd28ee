"""Files of a request's body, on disk a piece at a time: one by itself, or several as a form's.

A body by itself is named by ``?file=``, or by Content-Disposition (RFC 6266); a form (RFC 7578)
names each of its files. Of a name only the last part counts.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from gateway.api.refusals import RequestError, TooLarge, TooSlow, WrongMedia
from gateway.api.requests import media_type
from gateway.rows import Came

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

T = TypeVar("T")

FORM: Final = "multipart/form-data"
FILES: Final = 1_000
"""The most files of one form."""

_HEADERS: Final = 16
_UNSAFE: Final = re.compile(r"[^\w. ()+@-]")
_LONGEST: Final = 200
"""Bytes of a file's name; most file systems take 255."""


async def received(request: Request, folder: Path, limit: int, name: str) -> list[Came]:
    """The files of a body, in ``folder``; ``name`` is that of one that names itself not at all.

    Raises:
        TooLarge, TooSlow, WrongMedia, RequestError.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMedia("compressed bodies aren't read: send a zip", place="Content-Encoding")
    pieces = _pieces(request, limit)
    if media_type(request) == FORM:
        return await _form(request, pieces, folder)
    path = folder / "body"
    size = 0
    with path.open("wb") as file:
        async for piece in pieces:
            size += len(piece)
            await asyncio.to_thread(file.write, piece)
    if not size:
        raise RequestError("the body is empty", place="body")
    return [Came(_named(request) or name, path)]


async def _pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise TooLarge(f"a load may have at most {limit} bytes")
            yield piece
    except ClientDisconnect:
        raise TooSlow("the body didn't arrive in time") from None


def _named(request: Request) -> str:
    """What the request calls its file; "" where it doesn't."""
    asked = request.query_params.get("file", "")
    if asked:
        return safe(asked)
    _, options = parse_options_header(request.headers.get("content-disposition", ""))
    return safe(options.get(b"filename", b"").decode("utf-8", "replace"))


def safe(name: str) -> str:
    """The last part of a file's name, without what no file's name needs."""
    last = PurePosixPath(unquote(name).replace("\\", "/")).name
    end = _UNSAFE.sub("_", last).encode()[-_LONGEST:]
    return end.decode(errors="ignore").lstrip(".")


def lying(name: str, raw: bytes, ask: Callable[[Path], T]) -> T:
    """What is found of a body while it lies in a file of its name; "body" where it has none.

    Raises RequestError where it is empty, and what ``ask`` raises.
    """
    if not raw:
        raise RequestError("the body is empty", place="body")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, safe(name) or "body")
        path.write_bytes(raw)
        return ask(path)


# --- forms ----------------------------------------------------------------------------------------


async def _form(request: Request, pieces: AsyncIterator[bytes], folder: Path) -> list[Came]:
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise RequestError("the form has no boundary", place="Content-Type")
    with ExitStack() as opened:
        form = _Form(folder, opened)
        try:
            parser = MultipartParser(boundary, form.callbacks)
            async for piece in pieces:
                await asyncio.to_thread(parser.write, piece)
            parser.finalize()
        except FormParserError:
            raise RequestError("the form can't be read", place="body") from None
    if not form.files:
        raise RequestError("the form has no file", place="body")
    return form.files


class _Form:
    """What a parser tells of a form: its files, written as they come; other fields are let go."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self._folder = folder
        self._opened = opened
        self._file: BinaryIO | None = None
        self._name, self._value, self._headers = b"", b"", 0
        self._disposition = b""
        self.files: list[Came] = []
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._said,
            "on_header_end": self._header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._disposition, self._headers = b"", 0

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _said(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        self._headers += 1
        if self._headers > _HEADERS:
            raise FormParserError("too many headers")
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:
            return
        name = safe(options[b"filename"].decode("utf-8", "replace"))
        if not name or len(self.files) >= FILES:
            raise FormParserError("a file without a name, or too many")
        path = self._folder / f"part-{len(self.files)}"
        self._file = self._opened.enter_context(path.open("wb"))
        self.files.append(Came(name, path))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
