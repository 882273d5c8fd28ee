"""E-mail: a notice as a plain text, handed to the installation's own mail server (RFC 5321, 5322).

The text is made without personal data (``outgoing.letters``). The server is the keeper's, so the
endpoint guard has no part in it; the address is checked when it is written. smtplib blocks, so it
has threads of its own: a slow mail server holds up e-mails alone.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from gateway.deliver.endpoint import PLACE
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.model import Subscriber
from gateway.settings import Settings

SCHEME: Final = "mailto:"
TEXT: Final = "text/plain"
WAIT: Final = 20.0
"""Seconds for each of the mail server's answers."""

_THREADS: Final = 4
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class Post:
    """The mail server, how to speak to it, and the address that e-mails come from."""

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str

    @classmethod
    def of(cls, settings: Settings) -> Post:
        """The one that the settings name; ``host`` is "" where they name none."""
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_user,
            settings.smtp_password,
            settings.smtp_from,
        )


def check_address(endpoint: str) -> str:
    """The address of ``mailto:somebody@some.where``: one, in ASCII, without more.

    Raises Failure (permanent).
    """
    address = endpoint.removeprefix(SCHEME)
    if not endpoint.startswith(SCHEME) or len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise Failure("not mailto: and one address", place=PLACE, permanent=True)
    return address


class Email:
    """The client; a connection a message."""

    def __init__(self, post: Post | None) -> None:
        self._post = post
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="email")

    async def send(self, subscriber: Subscriber, notice: Notice, secret: str) -> None:
        """Hand the notice to the mail server. Raises Failure; ``secret`` signs no e-mail."""
        to = check_address(subscriber.endpoint)
        if self._post is None or not self._post.host or not self._post.sender:
            raise Failure("no mail server is set", place="GATEWAY_SMTP_HOST")
        message = _message(self._post.sender, to, notice)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, _hand_over, self._post, message)
        except smtplib.SMTPResponseException as error:
            raise _refused(error.smtp_code) from None
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused(next(iter(error.recipients.values()))[0]) from None
        except (smtplib.SMTPException, OSError) as error:
            text = f"the mail server can't be reached ({type(error).__name__})"
            raise Failure(text, place="GATEWAY_SMTP_HOST") from None

    async def close(self) -> None:
        """Take no more; what is being handed over ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _hand_over(post: Post, message: EmailMessage) -> None:
    with _server(post) as server:
        if post.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if post.user:
            server.login(post.user, post.password)
        server.send_message(message)


def _server(post: Post) -> smtplib.SMTP:
    if post.security != "tls":
        return smtplib.SMTP(post.host, post.port, timeout=WAIT)
    context = ssl.create_default_context()
    return smtplib.SMTP_SSL(post.host, post.port, timeout=WAIT, context=context)


def _message(sender: str, to: str, notice: Notice) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, notice.title
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2]}>"  # one over all attempts
    message["Auto-Submitted"] = "auto-generated"
    message.set_content((notice.body or b"").decode())
    return message


def _refused(code: int) -> Failure:
    return Failure(
        f"the mail server answered {code}", place="GATEWAY_SMTP_HOST", refused=500 <= code < 600
    )
