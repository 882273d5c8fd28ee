"""E-mail to a mail server that wants TLS and a login, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.deliver import Doors, Outfit
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.errors import SettingError
from gateway.model import Subscriber
from gateway.settings import Settings
from tests.deliver.certificates import Authority
from tests.deliver.mail_server import PASSWORD, USER, Guarded, mail_server

HARBOR = Subscriber("mail:harbor", "harbor", "email", "mailto:intake@harbor.example", "Task?")
NEWS = Notice("d-1", b"A referral is waiting.\n", title="News")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def settings(authority: Authority, port: int, **said: Any) -> Settings:
    usual = {
        "smtp_security": "starttls",
        "smtp_user": USER,
        "smtp_password": PASSWORD,
        "smtp_ca": authority.ca,
    }
    return Settings(smtp_host="127.0.0.1", smtp_port=port, smtp_from=USER, **{**usual, **said})


def send(
    authority: Authority, *, offers: str = "starttls", at: str = "127.0.0.1", **said: Any
) -> tuple[Guarded, Failure | None]:
    """What the server took, and how the attempt failed, if it did."""

    async def run() -> tuple[Guarded, Failure | None]:
        tls = None if offers == "none" else authority.server(at)
        async with mail_server(tls, implicit=offers == "tls") as (port, box):
            doors = Doors(Guard(), Outfit.of(settings(authority, port, **said)))
            try:
                await doors.send(HARBOR, NEWS, secret="")
            except Failure as failure:
                return box, failure
            finally:
                await doors.close()
            return box, None

    return asyncio.run(run())


@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_it_logs_in_over_tls_and_leaves_the_mail(how: str, authority: Authority) -> None:
    box, failed = send(authority, offers=how, smtp_security=how)
    assert failed is None
    assert [mail[:2] for mail in box.mails] == [(USER, "intake@harbor.example")]
    in_clear = [word for word, private in box.heard if not private]
    assert in_clear == (["EHLO", "STARTTLS"] if how == "starttls" else [])


def test_a_server_that_offers_no_tls_gets_neither_password_nor_mail(
    authority: Authority,
) -> None:
    box, failed = send(authority, offers="none")
    assert failed is not None
    assert (failed.place, failed.refused) == ("GATEWAY_SMTP_SECURITY", False)
    assert {word for word, _ in box.heard} <= {"EHLO", "QUIT", "RSET"}
    assert not box.mails


@pytest.mark.parametrize("how", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["unknown authority", "another's name"])
def test_a_certificate_that_is_not_the_servers_ends_it(
    how: str, wrong: str, authority: Authority
) -> None:
    trusts = {"smtp_ca": None} if wrong == "unknown authority" else {}
    at = "127.0.0.1" if trusts else "127.0.0.2"
    box, failed = send(authority, offers=how, at=at, smtp_security=how, **trusts)
    assert failed is not None
    assert (failed.place, failed.refused) == ("GATEWAY_SMTP_SECURITY", False)
    assert not box.mails
    assert "AUTH" not in {word for word, _ in box.heard}


def test_a_wrong_password_is_our_trouble_and_sets_no_mail_aside(authority: Authority) -> None:
    box, failed = send(authority, smtp_password="another")
    assert failed is not None
    assert (failed.place, failed.refused, failed.permanent) == ("GATEWAY_SMTP_USER", False, False)
    assert "another" not in str(failed)
    assert not box.mails


def test_a_server_that_wants_a_login_where_none_is_set_is_no_refusal_of_the_mail(
    authority: Authority,
) -> None:
    _, failed = send(authority, smtp_user="")
    assert failed is not None
    assert ("530" in str(failed), failed.refused) == (True, False)


def test_a_password_never_goes_over_a_network_in_clear(authority: Authority) -> None:
    far = settings(authority, 25, smtp_security="none").model_copy(
        update={"smtp_host": "mail.county.example"}
    )
    with pytest.raises(SettingError) as caught:
        Outfit.of(far)
    assert caught.value.place == "smtp_security"


def test_a_password_that_can_not_be_sent_is_told_at_the_start(authority: Authority) -> None:
    with pytest.raises(SettingError) as caught:
        Outfit.of(settings(authority, 25, smtp_password="wörd"))
    assert caught.value.place == "smtp_password"


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_file_that_holds_no_authority_is_refused_by_place(
    content: str | None, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingError) as caught:
        Outfit.of(settings(authority, 25, smtp_ca=file))
    assert caught.value.place == "smtp_ca"
