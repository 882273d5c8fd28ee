"""Whose a connection is: by the port it came to, else by its certificate, else it may say so.

A header can claim anything (MSH-3 and MSH-4 are text), so it is believed only from this machine.
"""

from __future__ import annotations

import ipaddress
from typing import cast


def whose(
    agency: str | None, certificate: object, peer: tuple[str, int] | None
) -> tuple[str | None, bool]:
    """The agency of a connection, and whether its header may claim one instead.

    ``certificate`` is what ``ssl`` makes of a client's verified one, or None. The port's agency
    goes before the certificate's name, but a certificate that doesn't bear the port's name
    belongs to somebody else, who gets nothing: (None, False).
    """
    names = _names(certificate) if isinstance(certificate, dict) else []
    if names:
        return (None, False) if agency not in (None, *names) else (agency or names[0], False)
    return agency, bool(peer) and _is_loopback(cast("tuple[str, int]", peer)[0])


def _names(certificate: dict[str, tuple[tuple[object, ...], ...]]) -> list[str]:
    """The subject's common names, then the DNS names."""
    subject = [pair for entry in certificate.get("subject", ()) for pair in entry]
    common = [value for key, value in cast("list[tuple[str, str]]", subject) if key == "commonName"]
    alternative = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
    return [*common, *(value for kind, value in alternative if kind == "DNS")]


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback
