"""Bombs: large messages, archives, JSON, character sets. Each is answered, and named by place."""

from __future__ import annotations

import asyncio
import io
import random
import zipfile
from collections.abc import Callable, Iterator

import httpx
import pytest

from gateway.members import KEEPER
from gateway.parse.charset import _CODECS
from gateway.store import open_hub
from tests import feeds
from tests.api.test_hostile import INSIDE
from tests.faults.hostile import MB, PATIENCE, Target, adt, attacked, connected, field
from tests.faults.scene import size
from tests.feeds import CLIENTS, client, table

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SECRET = "Zebulon-Xk7"
LIMIT = 10 * MB
CHARSETS = size("CHARSETS", 500)
FHIR = {"content-type": "application/fhir+json"}


@pytest.fixture(scope="module")
def bombed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway with its own limits, and a feed of CSV files of the clinic's."""
    folder = tmp_path_factory.mktemp("bombed")
    feeds.maps(folder / "maps")
    with attacked(folder, mappings=str(folder / "maps")) as target:
        yield target


def test_100_mb_over_mllp_are_refused_without_being_held(bombed: Target) -> None:
    bombed.forget_peak()
    before = bombed.resident
    with connected(bombed.process.mllp_port) as sock:
        sock.sendall(b"\x0b" + adt("large").encode() + b"NTE|1||")
        sent = 0
        try:
            for _ in range(100):
                sock.sendall(b"x" * MB)
                sent += 1
        except OSError:  # it doesn't listen to the rest
            assert sent > 10
        heard = sock.recv(4096)
    assert field(heard, "MSA", 1) in ("AR", "AE")
    assert field(heard, "MSA", 2) == "large"
    assert field(heard, "ERR", 3).startswith("207")
    assert bombed.peak - before < 4 * LIMIT


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
@pytest.mark.parametrize("path", ["/fhir/Patient", "/intake/hl7v2", "/fhir/Patient/_search"])
def test_100_mb_over_http_are_refused_without_being_held(
    bombed: Target, path: str, announced: bool
) -> None:
    bombed.forget_peak()
    before = bombed.resident
    body = b"x" * MB
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bombed.clinic}\r\n"
    length = f"content-length: {100 * MB}" if announced else "transfer-encoding: chunked"
    with connected(bombed.process.port) as sock:
        sock.sendall(f"{head}{length}\r\n\r\n".encode())
        sent = 0
        try:
            for _ in range(100):
                sock.sendall(body if announced else b"%x\r\n%b\r\n" % (len(body), body))
                sent += 1
        except OSError:
            assert sent < 100
        try:
            heard = sock.recv(4096)
        except ConnectionError:  # it wrote its answer and hung up while we were still sending
            heard = b""
    assert heard == b"" or heard.startswith(b"HTTP/1.1 413"), heard
    assert bombed.peak - before < 4 * LIMIT


def json_bombs() -> dict[str, tuple[bytes, str]]:
    """Bodies of several megabytes by name, and the place that is to be named ("" for any)."""
    start, many = b'{"resourceType":"Patient",', 400_000

    def keys(inside: bytes) -> bytes:
        return inside + b",".join(b'"%s%d":1' % (b"k", n) for n in range(many))

    number = b'{"resourceType":"Patient","multipleBirthInteger":%s}'
    return {
        "depth": (b"[" * 5 * MB, ""),
        "depth of objects": (b'{"a":' * MB, ""),
        "depth that ends": (b'{"resourceType":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        "a whole number": (number % (b"9" * 8 * MB), ""),
        "an exponent": (number % (b"1e" + b"9" * 8 * MB), ""),
        "a fraction": (number % (b"1." + b"9" * 8 * MB), ""),
        "4,301 digits": (number % (b"9" * 4301), ""),
        "not a number": (number % b"NaN", ""),
        "keys": (keys(start) + b"}", "Patient"),
        "keys inside": (keys(start + b'"name":[{') + b"}]}", "Patient.name[0]"),
        "a key twice": (start + b'"gender":"male","gender":"female"}', "gender"),
        "a key often": (start + b",".join([b'"active":true'] * many) + b"}", "active"),
        "wrong items": (start + b'"name":[' + b"1," * 3 * MB + b"1]}", "Patient.name[0]"),
        "empty items": (start + b'"name":[' + b"[]," * MB + b"1]}", "Patient.name[0]"),
        "a long code": (start + b'"gender":"' + b"x" * 8 * MB + b'"}', "Patient.gender"),
        "a long id": (start + b'"id":"' + b"x" * 8 * MB + b'"}', "Patient.id"),
        "a long key": (start + b'"' + b"k" * 8 * MB + b'":1}', ""),
        "a long date": (start + b'"birthDate":"' + b"1" * 8 * MB + b'"}', "Patient.birthDate"),
        "half a character": (start + b'"language":"\\ud800"}', ""),
        "other bytes": (start + b'"language":"\xff\xfe"}', ""),
    }  # fmt: skip


@pytest.mark.parametrize("way", ["POST", "transaction"])
def test_json_bombs_are_refused_by_place_in_little_time_and_memory(
    bombed: Target, way: str
) -> None:
    path = "/fhir/Patient" if way == "POST" else "/fhir"
    wrap: Callable[[bytes], bytes] = (
        (lambda body: body)
        if way == "POST"
        else lambda body: (
            b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST",'
            b'"url":"Patient"},"resource":' + body + b"}]}"
        )
    )

    async def run() -> None:
        async with bombed.client() as client:
            for name, (body, place) in json_bombs().items():
                raw = wrap(body)
                if len(raw) > LIMIT:
                    continue
                began = bombed.ticks
                answer = await client.post(path, content=raw, headers=FHIR)
                used = bombed.ticks - began
                assert answer.status_code in (400, 422), (name, answer.status_code)
                refused(answer, name)
                assert place.removeprefix("Patient") in answer.text, (name, answer.text)
                assert used < 6, (name, used)
        await bombed.served()

    bombed.forget_peak()
    bombed.runner.run(run())
    assert bombed.peak < 700 * MB


def refused(answer: httpx.Response, name: str) -> None:
    """An outcome without a value or anything of our inside, and not endless."""
    assert answer.json()["resourceType"] == "OperationOutcome", name
    assert len(answer.content) < 10_000, name
    assert not INSIDE.search(answer.text), (name, answer.text[:500])
    assert SECRET not in answer.text, name


# --- archives -------------------------------------------------------------------------------------


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def overlapping(count: int) -> bytes:
    """So many members that all lie in the first one's bytes (David Fifield's kernel)."""
    raw = zipped({"a.csv": b"x" * 9 * MB})
    start, end = raw.find(b"PK\x01\x02"), raw.find(b"PK\x05\x06")
    one = raw[start:end]
    listed = b"".join(one[:46] + b"%05d" % n + one[51:] for n in range(count))
    tail = bytearray(raw[end:])
    for at in (8, 10):
        tail[at : at + 2] = count.to_bytes(2, "little")
    tail[12:16] = len(listed).to_bytes(4, "little")
    return raw[:start] + listed + bytes(tail)


def crowded(count: int) -> bytes:
    """A list of so many members, of which there is one."""
    raw = zipped({"clients.csv": b"x"})
    start, end = raw.find(b"PK\x01\x02"), raw.find(b"PK\x05\x06")
    tail = bytearray(raw[end:])
    tail[12:16] = ((end - start) * count).to_bytes(4, "little")
    return raw[:start] + raw[start:end] * count + bytes(tail)


def zip_bombs() -> dict[str, bytes]:
    rows = table(CLIENTS, client("z"))
    return {
        "a bomb": zipped({"clients.csv": bytes(60 * MB)}),
        "many small bombs": zipped({f"clients{n}.csv": bytes(9 * MB) for n in range(12)}),
        "one kernel": overlapping(900),
        "a million members": crowded(200_000),
        "too many files": zipped({f"clients{n}.csv": b"" for n in range(1001)}),
        "nested": zipped({"clients.csv": zipped({"clients.csv": zipped({"c.csv": rows})})}),
        "up": zipped({"../../clients.csv": rows}),
        "absolute": zipped({"/etc/clients.csv": rows}),
        "a drive": zipped({"C:\\clients.csv": rows}),
        "twice": zipped({"a/clients.csv": rows, "b/CLIENTS.csv": rows}),
        "cut off": zipped({"clients.csv": rows})[:-30],
        "torn": zipped({"clients.csv": rows * 99}).replace(b"\x00", b"\x01"),
    }


def test_zip_bombs_are_refused_and_leave_nothing_behind(bombed: Target) -> None:
    data = bombed.process.log.parent / "data"

    async def run() -> None:
        async with bombed.client() as caller:
            good = zipped({"clients.csv": table(CLIENTS, client("good"))})
            for name, raw in [*zip_bombs().items(), ("good", good)]:
                answer = await caller.post(
                    "/intake/csv/shelter", content=raw, headers={"content-type": "application/zip"}
                )
                if name == "good":
                    assert answer.status_code == 200, answer.text
                else:
                    assert answer.status_code in (400, 413, 422), (name, answer.text)
                    refused(answer, name)
        await bombed.served()

    bombed.forget_peak()
    bombed.runner.run(run())
    assert bombed.peak < 700 * MB
    assert not [each for each in (data / "loads").rglob("*") if each.is_file()]


# --- character sets -------------------------------------------------------------------------------

NAMES = {
    **dict.fromkeys(f"8859/{part}" for part in range(1, 17)),
    **dict.fromkeys(["ASCII", "ISO IR6", "ISO IR14", "ISO IR87", "ISO IR159", "GB 18030-2000"]),
    **dict.fromkeys(["KS X 1001", "CNS 11643-1992", "BIG-5", "UNICODE", "UNICODE UTF-8"]),
    **dict.fromkeys(["UNICODE UTF-16", "UNICODE UTF-32", "WINDOWS-1252", *_CODECS]),
    **dict.fromkeys(["", "utf-7", "idna", "base64", "hz", "x" * 5000, "\\X00\\"]),
    **dict.fromkeys(["~~~", "ISO IR999", "8859/1~ISO IR87", "../etc", "UTF-8~ISO IR87~BIG-5"]),
}  # fmt: skip
PIECES = (
    *(b"\xff", b"\xfe\xff", b"\x80", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"),
    *(b"\x1b$B", b"\x1b$B\x21", b"\x1b(J", b"\x1b$)C\xff", b"\x1b", b"\x0e", b"\x81", b"\x8f\xa1"),
    *("Zoë".encode(), b"Zo\xeb", "Зоя".encode(), "山".encode("shift_jis"), "山".encode("gb18030")),
    *("山田".encode("iso2022_jp"), "山".encode("utf-16-le"), b"\x00", b"\x00\xd8", b"\x1a"),
)  # fmt: skip


def test_500_broken_character_sets_are_answered_and_kept_byte_for_byte(bombed: Target) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    sent = {f"C{n:04}": broken(f"C{n:04}", chance) for n in range(CHARSETS)}

    async def run() -> dict[str, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", bombed.process.mllp_port)
        for raw in sent.values():
            writer.write(b"\x0b" + raw + b"\x1c\r")
        heard = {}
        async with asyncio.timeout(4 * PATIENCE):
            for id in sent:
                heard[id] = (await reader.readuntil(b"\x1c\r"))[1:-2]
        writer.close()
        return heard

    heard = bombed.runner.run(run())
    kept = kept_messages(bombed)
    for id, raw in sent.items():
        answer = heard[id]
        assert field(answer, "MSA", 1) in ("AA", "AE", "AR"), (id, raw, answer)
        assert field(answer, "MSA", 2) == id, (id, raw, answer)
        assert raw in kept, (id, raw, answer)
        assert SECRET.encode() not in answer, (id, raw, answer)
        if field(answer, "MSA", 1) != "AA":
            assert field(answer, "ERR", 2) or ": " in field(answer, "ERR", 8), (id, raw, answer)


def broken(id: str, chance: random.Random) -> bytes:
    """A message that names a set and holds bytes of none, or of several."""
    name = chance.choice(list(NAMES))
    junk = b"".join(chance.choices(PIECES, k=chance.randint(1, 5)))
    family = SECRET.encode() + junk
    text = adt(id, f"M{id}", more=f"||||||{name}").encode()
    raw = text.replace(b"Rivera", family)
    if chance.random() < 0.1:
        # In some sets a byte may take what follows it along, were it the delimiter.
        raw = raw.replace(b"|EHR|", b"|" + junk.replace(b"\x00", b"") + b"\x1b(BEHR|", 1)
    return raw.replace(b"\x1c", b"").replace(b"\x0b", b"")


def kept_messages(target: Target) -> set[bytes]:
    hub = open_hub(target.process.database)
    found: set[bytes] = set()
    with hub.read() as reader:
        for page in (
            reader.accepted_messages(KEEPER, count=9999),
            reader.failed_messages(KEEPER, count=9999),
        ):
            found |= {each.message.raw for each in page}
    hub.close()
    return found
