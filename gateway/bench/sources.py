"""What the bench works on: files of messages, samples beside maps, and whose maps serve."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import MapError, SettingError
from gateway.model import Agency
from gateway.translate import Library, is_agency_id
from gateway.translate.agency import FILE

SAMPLES: Final = "samples"
"""The folder, in a feed's own, in which its samples lie."""

SAMPLE: Final = Agency("sample", "Sample", timezone="")
"""Whose a sample is that lies in no agency's folder: one that declares nothing."""

_START: Final = re.compile(
    rb"(?:(?<=[\r\n\x0b])|\A(?:\xef\xbb\xbf)?)[ \t]*(MSH|[FB](?:HS|TS))(?=\W)"
)


def messages_of(file: bytes) -> list[bytes]:
    """The messages of a file, each from its MSH; envelopes and frames are left out."""
    starts = [(match.start(1), match[1]) for match in _START.finditer(file)]
    ends = [*(start for start, _ in starts[1:]), len(file)]
    cut = zip(starts, ends, strict=False)  # a file without a message has an end alone
    found = [file[start:end] for (start, name), end in cut if name == b"MSH"]
    return [each.rstrip(b"\x0b\x1c\r\n") for each in found]


def messages_in(paths: Iterable[Path]) -> Iterator[bytes]:
    """The messages of files, in their order. Raises SettingError for one that can't be read."""
    for path in paths:
        yield from messages_of(content(path))


def content(path: Path) -> bytes:
    """A file's bytes. Raises SettingError where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(f"can't be read: {error.strerror}", place=str(path)) from None


def agency(library: Library, id: str) -> Agency:
    """An agency by its id; without one, an agency that declares nothing. Raises SettingError."""
    if not id:
        return SAMPLE
    if id not in library.agencies:
        raise SettingError("there is no such agency among the mappings", place=id)
    return library.agencies[id]


def with_folders(library: Library, folders: Sequence[Path]) -> Library:
    """The library with the agencies in whose own folders these are, as those folders say.

    Raises MapError for one that doesn't load.
    """
    for folder in folders:
        home = _home(folder.resolve())
        if home is not None and is_agency_id(home.name):
            library = library.with_agency(home.name, home)
    return library


def _home(path: Path) -> Path | None:
    """The nearest folder, this one or one around it, that describes an agency."""
    return next((one for one in (path, *path.parents) if (one / FILE).is_file()), None)


def owner(library: Library, path: Path) -> Agency:
    """The agency in whose folder a sample lies; without one ``SAMPLE``.

    Raises MapError for an agency's folder that isn't loaded.
    """
    home = _home(path.resolve().parent)
    if home is None:
        return SAMPLE
    if home.name not in library.agencies:
        raise MapError("this agency's folder isn't loaded", place=f"{home.name}/{FILE}")
    return library.agencies[home.name]


@dataclass(frozen=True, slots=True)
class Sample:
    """A file beside a map, or a folder of files that are sent together.

    ``feed`` is whose rows or JSON they are, "" for an HL7 v2 message.
    """

    path: Path
    feed: str = ""

    @property
    def expected(self) -> Path:
        """The file that says what it becomes: a list of resources."""
        return self._beside(".expected.json")

    @property
    def errors(self) -> Path:
        """The file that says what is refused of it, and warned of."""
        return self._beside(".errors.yaml")

    def _beside(self, end: str) -> Path:
        name = self.path.name if self.path.is_dir() else self.path.stem
        return self.path.with_name(name + end)


def samples(folders: Sequence[Path]) -> list[Sample]:
    """Every ``x.hl7`` below some folders, and what lies in the folders ``samples`` of feeds.

    Raises SettingError for a folder that isn't there: no samples of it would all be as expected.
    """
    for folder in folders:
        if not folder.is_dir():
            raise SettingError("no such folder", place=str(folder))
    messages = {path for folder in folders for path in folder.rglob("*.hl7")}
    homes = {path for folder in folders for path in folder.rglob(SAMPLES) if path.is_dir()}
    rows = {path for home in homes for path in home.iterdir() if _is_sample(path)}
    found = [*(Sample(path) for path in messages), *(Sample(path, _feed(path)) for path in rows)]
    return sorted(found, key=lambda sample: sample.path)


def _is_sample(path: Path) -> bool:
    if path.is_dir():
        return not path.name.startswith(".")
    return path.suffix in (".csv", ".json", ".ndjson") and not path.name.endswith(".expected.json")


def _feed(path: Path) -> str:
    """``eastside-pantry/visits/samples/june.csv`` is one of the feed ``visits``."""
    return path.parent.parent.name
