from __future__ import annotations

import contextlib
import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from gateway.errors import ParseError
from gateway.parse.archive import is_zip, unpack


def packed(tmp_path: Path, members: dict[str, bytes], **said: int) -> Path:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = said.get("attributes", 0o644 << 16)
            made.writestr(info, content)
    return path


def unpacked(tmp_path: Path, archive: Path, limit: int = 2**30) -> dict[str, bytes]:
    folder = tmp_path / "out"
    folder.mkdir()
    found = list(unpack("x.zip", archive, folder, limit))
    assert {path.parent for path in found} <= {folder}
    return {path.name: path.read_bytes() for path in found}


def test_files_are_unpacked_under_their_last_names(tmp_path: Path) -> None:
    members = {"export/Client.csv": b"a", "export/": b"", "__MACOSX/x": b"", ".DS_Store": b""}
    archive = packed(tmp_path, members)
    assert is_zip(archive.read_bytes()[:4])
    assert unpacked(tmp_path, archive) == {"Client.csv": b"a"}


@pytest.mark.parametrize(
    "name", ["../Client.csv", "/etc/passwd", "a/../../b.csv", "C:\\b.csv", "..\\b.csv"]
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParseError, match="leads out"):
        unpacked(tmp_path, packed(tmp_path, {name: b"x"}))
    assert not list((tmp_path / "out").iterdir())


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    archive = packed(tmp_path, {"Client.csv": bytes(60 * 2**20)})
    assert archive.stat().st_size < 2**17
    with pytest.raises(ParseError, match="far more"):
        unpacked(tmp_path, archive)
    assert not list((tmp_path / "out").iterdir())


def test_a_bomb_that_lies_about_its_size_is_cut_off(tmp_path: Path) -> None:
    archive = packed(tmp_path, {"Client.csv": bytes(60 * 2**20)})
    raw = bytearray(archive.read_bytes())
    size = (60 * 2**20).to_bytes(4, "little")
    while (at := raw.find(size)) >= 0:
        raw[at : at + 4] = (100).to_bytes(4, "little")
    archive.write_bytes(raw)
    with pytest.raises(ParseError):
        unpacked(tmp_path, archive)
    assert sum(each.stat().st_size for each in (tmp_path / "out").iterdir()) <= 11 * 2**20


def test_all_members_together_have_a_limit(tmp_path: Path) -> None:
    archive = packed(tmp_path, {"a.csv": b"x" * 60, "b.csv": b"x" * 60})
    with pytest.raises(ParseError, match="far more"):
        unpacked(tmp_path, archive, limit=100)


def test_a_zip_in_a_zip_a_link_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        made.writestr("a.csv", "x")
    with pytest.raises(ParseError, match="in a zip"):
        unpacked(tmp_path, packed(tmp_path, {"a.zip": inner.getvalue()}))
    with pytest.raises(ParseError, match="link"):
        list(unpack("x", packed(tmp_path, {"a": b"/etc"}, attributes=0o120777 << 16), tmp_path, 9))
    with pytest.raises(ParseError, match="one name"):
        list(unpack("x", packed(tmp_path, {"a/x.csv": b"", "b/X.csv": b""}), tmp_path, 9))


@pytest.mark.parametrize(
    "codec", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_member_that_is_broken_says_so_whatever_packed_it(tmp_path: Path, codec: int) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", codec) as made:
        made.writestr("a.csv", bytes(range(256)) * 4)
    whole = path.read_bytes()
    start, end = whole.index(b"a.csv") + 5, whole.rindex(b"PK\x01\x02")
    for at in range(start, end, 5):
        raw = bytearray(whole)
        raw[at] ^= 0x5A
        path.write_bytes(raw)
        folder = tmp_path / str(at)
        folder.mkdir()
        with contextlib.suppress(ParseError):  # else it wasn't in what is read
            (found,) = unpack("x.zip", path, folder, 2**20)
            assert found.read_bytes() == bytes(range(256)) * 4


def test_what_is_no_zip_or_broken_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "x.zip"
    broken.write_bytes(b"PK\x03\x04" + b"nonsense" * 10)
    with pytest.raises(ParseError, match="broken"):
        list(unpack("x.zip", broken, tmp_path, 100))


def test_members_in_one_place_are_refused_before_any_is_unpacked(tmp_path: Path) -> None:
    archive = packed(tmp_path, {f"{n:03}.csv": b"x" for n in range(200)} | {"zz.csv": b"y" * 999})
    raw = bytearray(archive.read_bytes())
    kernel = raw.find(b"PK\x01\x02", raw.find(b"zz.csv") + 6)  # the list of members begins
    for _ in range(200):
        raw[kernel + 20 : kernel + 24] = (300).to_bytes(4, "little")  # its packed size
        kernel = raw.find(b"PK\x01\x02", kernel + 4)
    archive.write_bytes(raw)
    with pytest.raises(ParseError, match="one place"):
        unpacked(tmp_path, archive)
    assert not list((tmp_path / "out").iterdir())


def test_a_list_of_members_beyond_reason_is_not_read(tmp_path: Path) -> None:
    archive = packed(tmp_path, {"a.csv": b"x"})
    raw = archive.read_bytes()
    start, end = raw.find(b"PK\x01\x02"), raw.find(b"PK\x05\x06")
    listed = raw[start:end] * 200_000
    tail = bytearray(raw[end:])
    tail[12:16] = len(listed).to_bytes(4, "little")
    archive.write_bytes(raw[:start] + listed + tail)
    tracemalloc.start()
    with pytest.raises(ParseError):
        list(unpack("x.zip", archive, tmp_path, 2**30))
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_many_small_bombs_are_one_large_one(tmp_path: Path) -> None:
    archive = packed(tmp_path, {f"{n}.csv": bytes(9 * 2**20) for n in range(5)})
    with pytest.raises(ParseError, match="far more"):
        unpacked(tmp_path, archive)
    assert sum(each.stat().st_size for each in (tmp_path / "out").iterdir()) <= 11 * 2**20
