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
from gateway.deliver.tls import mail_tls
from gateway.errors import SettingError
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


_SERVER: Final = "GATEWAY_SMTP_HOST"


@dataclass(frozen=True, slots=True)
class Post:
    """The mail server, how to speak to it, and the address that e-mails come from.

    ``tls`` says whom to trust; None: the system's authorities.
    """

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, settings: Settings) -> Post:
        """The one that the settings name; ``host`` is "" where they name none.

        Raises SettingError: a password that would go over the network in clear, or that smtplib
        can't send (RFC 4616 has UTF-8, it ASCII); a CA that can't be read.
        """
        if settings.smtp_user and settings.smtp_security == "none" and not _is_here(settings):
            raise SettingError("a password goes over TLS alone", place="smtp_security")
        if not (settings.smtp_user + settings.smtp_password).isascii():
            raise SettingError("a name and password in ASCII alone", place="smtp_password")
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_user,
            settings.smtp_password,
            settings.smtp_from,
            mail_tls(settings),
        )


def _is_here(settings: Settings) -> bool:
    return settings.smtp_host in ("localhost", "127.0.0.1", "::1")


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
            raise Failure("no mail server is set", place=_SERVER)
        message = _message(self._post.sender, to, notice)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, _hand_over, self._post, message)
        except (smtplib.SMTPException, OSError) as error:
            raise _failure(error) from None

    async def close(self) -> None:
        """Take no more; what is being handed over ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _hand_over(post: Post, message: EmailMessage) -> None:
    with _server(post) as server:
        if post.security == "starttls":
            server.starttls(context=_context(post))
        if post.user:
            server.login(post.user, post.password)
        server.send_message(message)


def _server(post: Post) -> smtplib.SMTP:
    if post.security != "tls":
        return smtplib.SMTP(post.host, post.port, timeout=WAIT)
    return smtplib.SMTP_SSL(post.host, post.port, timeout=WAIT, context=_context(post))


def _context(post: Post) -> ssl.SSLContext:
    return post.tls or ssl.create_default_context()


def _message(sender: str, to: str, notice: Notice) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, notice.title
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2]}>"  # one over all attempts
    message["Auto-Submitted"] = "auto-generated"
    message.set_content((notice.body or b"").decode())
    return message


def _failure(error: smtplib.SMTPException | OSError) -> Failure:
    """What an attempt failed by. Only what is said to this e-mail's receiver or text is a refusal
    of it; what is said to us, all others would hear, too."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        text = f"the mail server doesn't let us in: {error.smtp_code}"
        return Failure(text, place="GATEWAY_SMTP_USER")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Failure("the mail server can't do what is set", place="GATEWAY_SMTP_SECURITY")
    if isinstance(error, ssl.SSLError):
        text = f"no TLS with the mail server ({type(error).__name__})"
        return Failure(text, place="GATEWAY_SMTP_SECURITY")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _answered(next(iter(error.recipients.values()))[0], of_this=True)
    if isinstance(error, smtplib.SMTPResponseException):
        return _answered(error.smtp_code, of_this=isinstance(error, smtplib.SMTPDataError))
    return Failure(f"the mail server can't be reached ({type(error).__name__})", place=_SERVER)


def _answered(code: int, *, of_this: bool) -> Failure:
    refused = of_this and 500 <= code < 600
    return Failure(f"the mail server answered {code}", place=_SERVER, refused=refused)
