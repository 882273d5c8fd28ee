"""MLLP out, to listeners on real sockets that answer in every way."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest

from gateway.deliver import Doors, Outfit, mllp
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from gateway.deliver.tls import client_tls
from gateway.errors import SettingError
from gateway.settings import Settings
from tests.deliver import sinks
from tests.deliver.sinks import notice, subscriber

LOCAL = Guard(["127.0.0.0/8"])
MESSAGE = b"MSH|^~\\&|CAREGW|COUNTY|EHR|CEDARGEN|20240507||RRI^I12|CG0001|P|2.5.1\rMSA|AA|MSG7\r"


def ack(code: str = "AA", control: str = "CG0001", head: str = "MSH|^~\\&|EHR|||") -> bytes:
    mark = head[3]
    return f"\x0b{head}\rMSA{mark}{code}{mark}{control}\r\x1c\r".encode()


def send(reply: Callable[[bytes], bytes | None], payload: bytes | None = MESSAGE) -> list[bytes]:
    async def run() -> list[bytes]:
        doors = Doors(LOCAL)
        async with sinks.mllp(reply) as (address, got):
            to = subscriber(address, channel="mllp")
            await doors.send(to, notice(1, payload), secret="")
            await doors.close()
            return got

    return asyncio.run(run())


def failure(reply: Callable[[bytes], bytes | None], payload: bytes | None = MESSAGE) -> Failure:
    with pytest.raises(Failure) as caught:
        send(reply, payload)
    return caught.value


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_an_acknowledged_message_is_delivered_byte_for_byte(code: str) -> None:
    assert send(lambda _: ack(code)) == [MESSAGE]


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_refusal_is_tried_again_and_says_which(code: str) -> None:
    failed = failure(lambda _: ack(code))
    assert (failed.place, failed.permanent) == ("MSA-1", False)
    assert code in str(failed)


@pytest.mark.parametrize("code", ["", "XX", "AA Everyman"])
def test_an_answer_that_is_none_is_a_failure_and_its_words_stay_there(code: str) -> None:
    failed = failure(lambda _: ack(code))
    assert failed.place == "MSA-1"
    assert "Everyman" not in str(failed)


def test_the_acknowledgement_of_another_message_is_none_of_this() -> None:
    assert failure(lambda _: ack(control="CG0002")).place == "MSA-2"
    assert failure(lambda _: b"\x0bMSH|^~\\&|\rMSA|AA\r\x1c\r").place == "MSA-2"


def test_a_listener_may_use_other_delimiters_line_feeds_and_noise_before_its_answer() -> None:
    assert send(lambda _: ack(head="MSH#*~\\&#EHR"))
    assert send(lambda _: b"\r\n" + ack().replace(b"\rMSA", b"\nMSA"))


def test_an_answer_without_an_msa_is_a_failure() -> None:
    assert failure(lambda _: b"\x0bMSH|^~\\&|\r\x1c\r").place == "MSA-1"
    assert failure(lambda _: b"\x0b\x1c\r").place == "MSA-1"


def test_a_listener_that_hangs_up_is_tried_again() -> None:
    failed = failure(lambda _: None)
    assert "hung up" in str(failed)
    assert not failed.permanent


def test_an_answer_without_end_is_a_failure() -> None:
    assert not failure(lambda _: b"\x0b" + b"x" * 300_000).permanent


def test_a_silent_listener_ends_with_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp, "TOTAL", 0.3)
    assert "in time" in str(failure(lambda _: b""))


def message(number: int, modes: str = "") -> bytes:
    """A message of control id CG<number>; ``modes`` is "MSH-15|MSH-16"."""
    head = f"MSH|^~\\&|CAREGW|COUNTY|EHR|CEDARGEN|20240507||RRI^I12|CG{number:04}|P|2.5.1|||{modes}"
    return f"{head}\rMSA|AA|MSG7\r".encode()


def answer(sent: bytes, code: str = "AA") -> bytes:
    return ack(code, sent.split(b"|")[9].decode())


def deliver(
    reply: Callable[[bytes], bytes | None],
    payloads: Sequence[bytes],
    limit: int = 1000,
    patience: float = 0,
) -> sinks.Inbox:
    """Send each in turn, by one client; what the listener got."""

    async def run() -> sinks.Inbox:
        doors = Doors(LOCAL)
        async with sinks.inbox(reply, limit=limit) as (address, got):
            to = subscriber(address, channel="mllp")
            try:
                for payload in payloads:
                    await doors.send(to, notice(1, payload), secret="")
                    await asyncio.sleep(patience)
            finally:
                await doors.close()
            return got

    return asyncio.run(run())


def test_one_connection_serves_a_receiver() -> None:
    sent = [message(n) for n in range(1, 21)]
    got = deliver(answer, sent)
    assert got.messages == sent
    assert set(got.by) == {1}


def test_messages_of_one_delivery_go_out_one_after_another_and_each_must_be_accepted() -> None:
    sent = [message(1), message(2), message(3)]
    assert deliver(answer, [b"".join(sent)]).messages == sent
    codes = {1: "AA", 2: "AE", 3: "AA"}
    got: list[bytes] = []

    def picky(each: bytes) -> bytes:
        got.append(each)
        return answer(each, codes[len(got)])

    with pytest.raises(Failure, match="AE"):
        deliver(picky, [b"".join(sent)])
    assert got == sent[:2]


def test_two_at_once_wait_for_their_turn() -> None:
    async def run() -> sinks.Inbox:
        doors = Doors(LOCAL)
        async with sinks.inbox(answer) as (address, got):
            to = subscriber(address, channel="mllp")
            await asyncio.gather(
                *(doors.send(to, notice(1, message(n)), secret="") for n in range(1, 9))
            )
            await doors.close()
            return got

    got = asyncio.run(run())
    assert got.messages == [message(n) for n in range(1, 9)]
    assert got.connections == 1


@pytest.mark.parametrize("patience", [0, 0.02])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_receiver_that_hangs_up_after_its_answer_is_met_anew(limit: int, patience: float) -> None:
    sent = [message(n) for n in range(1, 8)]
    got = deliver(answer, sent, limit=limit, patience=patience)
    assert got.messages == sent
    assert got.connections == -(-len(sent) // limit)


def test_a_receiver_that_answers_the_first_message_again_gets_a_connection_for_each() -> None:
    """node-hl7-server 2.5.0 does, which never forgets what came before (``test_foreign``)."""
    first: list[bytes] = []
    sizes = count(1)

    def muddled(each: bytes) -> bytes:
        first.append(each)
        return answer(first[0] if next(sizes) == 2 else each)

    sent = [message(n) for n in range(1, 5)]
    got = deliver(muddled, sent)
    assert got.messages == [sent[0], sent[1], *sent[1:]]
    assert got.by == [1, 1, 2, 3, 4]


def test_a_connection_that_was_idle_for_long_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mllp, "IDLE", 0)
    assert deliver(answer, [message(1), message(2)]).by == [1, 2]


def test_after_a_refusal_or_silence_the_connection_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mllp, "TOTAL", 0.3)
    replies = iter([b"", answer(message(1), "AE"), answer(message(1))])

    async def run() -> sinks.Inbox:
        doors = Doors(LOCAL)
        async with sinks.inbox(lambda _: next(replies)) as (address, got):
            to = subscriber(address, channel="mllp")
            for _ in range(2):
                with pytest.raises(Failure):
                    await doors.send(to, notice(1, message(1)), secret="")
            await doors.send(to, notice(1, message(1)), secret="")
            await doors.close()
            return got

    assert asyncio.run(run()).by == [1, 2, 3]


def test_in_enhanced_mode_the_commit_is_enough_and_what_follows_is_passed_by() -> None:
    both = [message(n, "AL|NE") for n in range(1, 6)]
    assert deliver(lambda each: answer(each, "CA"), both).messages == both
    got = deliver(lambda each: answer(each, "CA") + answer(each, "AE"), both)
    assert got.messages == both
    assert got.connections == 1


def test_a_late_answer_to_an_earlier_message_is_not_taken_for_this_ones() -> None:
    earlier: list[bytes] = []

    def late(each: bytes) -> bytes:
        before, earlier[:] = earlier[:], [each]
        return b"".join(answer(one, "AR") for one in before) + answer(each, "CA")

    sent = [message(n, "AL|NE") for n in range(1, 5)]
    got = deliver(late, sent)
    assert got.messages == sent
    assert got.connections == 1


def test_who_asks_for_the_applications_answer_waits_for_it() -> None:
    sent = [message(1, "AL|AL")]
    assert deliver(lambda each: answer(each, "CA") + answer(each, "AA"), sent).messages == sent
    assert deliver(answer, sent).messages == sent
    with pytest.raises(Failure, match="AE"):
        deliver(lambda each: answer(each, "CA") + answer(each, "AE"), sent)


@pytest.mark.parametrize("modes", ["AL|NE", "AL|AL"])
@pytest.mark.parametrize("code", ["CE", "CR"])
def test_a_commit_that_is_refused_is_tried_again(code: str, modes: str) -> None:
    with pytest.raises(Failure, match=code):
        deliver(lambda each: answer(each, code), [message(1, modes)])


def test_there_must_be_a_message() -> None:
    assert failure(lambda _: ack(), payload=None).permanent


def test_nobody_listening_is_tried_again() -> None:
    async def run() -> None:
        async with sinks.mllp(lambda _: ack()) as (address, _):
            pass
        await Doors(LOCAL).send(subscriber(address, channel="mllp"), notice(1, MESSAGE), secret="")

    with pytest.raises(Failure, match="reached") as caught:
        asyncio.run(run())
    assert not caught.value.permanent


@pytest.mark.parametrize(
    "url",
    [
        "mllp://127.0.0.1:2575",
        "mllps://10.0.0.1",
        "mllp://[::1]:2575",
        "mllp://localhost:2575",
        "http://a.org",
    ],
)
def test_the_guard_stands_here_too(url: str) -> None:
    async def run() -> None:
        to = subscriber(url, channel="mllp")
        await Doors(Guard()).send(to, notice(1, MESSAGE), secret="")

    with pytest.raises(Failure) as caught:
        asyncio.run(run())
    assert caught.value.permanent


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA, and what it and nobody signed: server, stranger and client."""
    if not shutil.which("openssl"):
        pytest.skip("openssl makes the certificates")
    folder = tmp_path_factory.mktemp("authority")
    key = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    uses = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
    run = [f"{key} -x509 -keyout ca.key -out ca.pem -subj /CN=CA {uses}"]
    for name, host in (
        ("server", "IP:127.0.0.1"),
        ("stranger", "IP:127.0.0.2"),
        ("client", "DNS:c"),
    ):
        (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
        run += [
            f"{key} -keyout {name}.key -out {name}.csr -subj /CN={name}",
            f"openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
            f"-out {name}.pem -extfile {name}.ext -days 2",
        ]
    for command in run:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


def over_tls(authority: Path, server: str, client: Settings) -> list[bytes]:
    """Send two messages to a listener that demands a certificate; what it got."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority / "ca.pem")
    context.load_cert_chain(authority / f"{server}.pem", authority / f"{server}.key")
    context.verify_mode = ssl.CERT_REQUIRED

    async def run() -> list[bytes]:
        doors = Doors(LOCAL, Outfit(client_tls(client)))
        async with sinks.mllp(answer, context) as (address, got):
            to = subscriber(address, channel="mllp")
            try:
                for number in (1, 2):
                    await doors.send(to, notice(1, message(number)), secret="")
            finally:
                await doors.close()
            return got

    return asyncio.run(run())


def shown(authority: Path, **more: Path) -> Settings:
    return Settings(mllp_client_ca=authority / "ca.pem", **more)  # type: ignore[arg-type]


def test_over_tls_both_show_who_they_are(authority: Path) -> None:
    cert, key = authority / "client.pem", authority / "client.key"
    settings = shown(authority, mllp_client_cert=cert, mllp_client_key=key)
    assert over_tls(authority, "server", settings) == [message(1), message(2)]
    with pytest.raises(Failure, match="certificate") as caught:
        over_tls(authority, "stranger", settings)
    assert not caught.value.permanent


def test_over_tls_a_stranger_gets_nothing_and_sends_nothing(authority: Path) -> None:
    with pytest.raises(Failure):
        over_tls(authority, "server", shown(authority))
    with pytest.raises(Failure, match="certificate"):
        over_tls(authority, "server", Settings())


@pytest.mark.parametrize(
    ("names", "place"),
    [
        ({"ca": "none.pem"}, "mllp_client_ca"),
        ({"ca": "server.ext"}, "mllp_client_ca"),
        ({"key": "client.key"}, "mllp_client_cert"),
        ({"cert": "none.pem"}, "mllp_client_cert"),
        ({"cert": "client.pem", "key": "server.key"}, "mllp_client_cert"),
    ],
)
def test_files_that_serve_for_nothing_are_refused_by_place(
    names: dict[str, str], place: str, authority: Path
) -> None:
    files = {f"mllp_client_{name}": authority / file for name, file in names.items()}
    with pytest.raises(SettingError) as caught:
        client_tls(Settings(**files))  # type: ignore[arg-type]
    assert caught.value.place == place
