"""TLS of what goes out by MLLP and to the mail server: whom we trust, and who we are."""

from __future__ import annotations

import ssl

from gateway.errors import SettingError
from gateway.settings import Settings


def client_tls(settings: Settings) -> ssl.SSLContext | None:
    """The context of ``mllps://`` receivers, whose certificate and name are checked.

    Without ``mllp_client_ca`` the system's authorities are trusted; with ``mllp_client_cert`` we
    show it to whoever asks. None where nothing is set: Python's own context serves. Raises
    SettingError for files that can't be used.
    """
    ca, cert, key = settings.mllp_client_ca, settings.mllp_client_cert, settings.mllp_client_key
    if ca is cert is key is None:
        return None
    if key is not None and cert is None:
        raise SettingError("a key needs its certificate", place="mllp_client_cert")
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError:
        raise SettingError("not a PEM file of certificates", place="mllp_client_ca") from None
    if cert is not None:
        try:
            context.load_cert_chain(cert, key)
        except OSError:
            raise SettingError("not a certificate and its key", place="mllp_client_cert") from None
    return context


def mail_tls(settings: Settings) -> ssl.SSLContext | None:
    """The context of the mail server; None where the system's authorities are trusted.

    Raises SettingError.
    """
    if settings.smtp_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=settings.smtp_ca)
    except OSError:
        raise SettingError("not a PEM file of certificates", place="smtp_ca") from None
