"""E-mail over a real socket: what the mail server gets, and what comes of each bad answer."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from gateway.deliver import Doors, Outfit
from gateway.deliver.email import Post, check_address
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.model import Subscriber
from tests.deliver.sinks import Mailbox, smtp

TO = "mailto:intake@harbor.example"
NOTICE = Notice("d-1", b"A referral is waiting.\n\nhttps://x/light/t0ken\n", title="News")


def send(
    answers: dict[str, str] | None = None, *, to: str = TO, notice: Notice = NOTICE, times: int = 1
) -> Mailbox:
    async def run() -> Mailbox:
        async with smtp(answers) as (port, box):
            post = Post("127.0.0.1", port, "none", "", "", "gateway@county.example")
            doors = Doors(Guard(), Outfit(post=post))
            try:
                for _ in range(times):
                    told = Subscriber("mail:harbor", "harbor", "email", to, "Task?")
                    await doors.send(told, notice, secret="")
            finally:
                await doors.close()
            return box

    return asyncio.run(run())


def failure(answers: dict[str, str]) -> Failure:
    with pytest.raises(Failure) as caught:
        send(answers)
    return caught.value


def test_the_mail_server_gets_a_plain_text_with_a_stable_id() -> None:
    (first, again) = send(times=2).mails
    assert first[:2] == ("gateway@county.example", "intake@harbor.example")
    mail = message_from_bytes(first[2], policy=default)
    assert isinstance(mail, EmailMessage)
    assert mail["subject"] == "News"
    assert mail["auto-submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert "https://x/light/t0ken" in mail.get_content()
    assert mail["message-id"] == "<d-1@county.example>"
    assert message_from_bytes(again[2])["message-id"] == mail["message-id"]


def test_a_long_link_is_not_broken_on_its_way() -> None:
    url = "https://gateway.example/light/" + "x" * 400
    ((_, _, raw),) = send(notice=Notice("d", f"Look:\n\n{url}\n".encode(), title="t")).mails
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    assert url in mail.get_content()


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ({"RCPT": "550 no such user"}, True),
        ({"RCPT": "450 busy"}, False),
        ({"DATA": "451 later"}, False),
        ({".": "554 no"}, True),
        ({"MAIL": "421 closing"}, False),
    ],
)
def test_a_refusal_for_good_is_told_from_one_for_now(
    answers: dict[str, str], refused: bool
) -> None:
    failed = failure(answers)
    assert (failed.refused, failed.permanent) == (refused, False)
    assert "harbor" not in str(failed)


def test_without_a_mail_server_it_fails_and_says_which_setting() -> None:
    async def run() -> None:
        doors = Doors(Guard())
        await doors.send(Subscriber("s", "a", "email", TO, "Task?"), NOTICE, secret="")

    with pytest.raises(Failure) as caught:
        asyncio.run(run())
    assert caught.value.place == "GATEWAY_SMTP_HOST"


def test_a_mail_server_that_is_not_there_is_a_failure_for_now() -> None:
    async def run() -> None:
        async with smtp() as (port, _):
            pass
        doors = Doors(Guard(), Outfit(post=Post("127.0.0.1", port, "none", "", "", "g@c.example")))
        await doors.send(Subscriber("s", "a", "email", TO, "Task?"), NOTICE, secret="")

    with pytest.raises(Failure, match="can't be reached"):
        asyncio.run(run())


@pytest.mark.parametrize(
    "endpoint",
    [
        "intake@harbor.example",
        "mailto:",
        "mailto:a@b.example,c@d.example",
        "mailto:a@b.example?subject=x",
        "mailto:a@b.example\r\nBcc: c@d.example",
        "mailto:<a@b.example>",
        "mailto:a b@c.example",
        "https://harbor.example",
    ],
)
def test_an_endpoint_is_one_bare_address(endpoint: str) -> None:
    with pytest.raises(Failure) as caught:
        check_address(endpoint)
    assert caught.value.permanent
