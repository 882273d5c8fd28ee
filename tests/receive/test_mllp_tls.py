"""mTLS on real sockets: the certificate decides whose a message is."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from concurrent.futures import Future
from pathlib import Path

import pytest

from gateway.model import Receipt
from gateway.receive.framing import frame
from gateway.receive.mllp import listen
from gateway.receive.taking import Arrival

pytestmark = pytest.mark.skipif(
    not shutil.which("openssl"), reason="openssl makes the certificates"
)

MESSAGE = b"MSH|^~\\&|CLINIC|CEDARGEN|HUB|GW|20250301||REF^I12|1|P|2.5.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA and the certificates of a server and two clients."""
    folder = tmp_path_factory.mktemp("authority")
    new_key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca = ["-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA"]
    ca_uses = [
        each
        for use in ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        for each in ("-addext", use)
    ]
    run(folder, [*new_key, *ca, *ca_uses])
    for name, alternative in (
        ("server", "DNS:localhost,IP:127.0.0.1"),
        ("cedar-general", "DNS:cedar.example"),
        ("northside", "DNS:north.example"),
    ):
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        request = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"]
        run(folder, [*new_key, *request])
        sign = ["-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        issue = ["-out", f"{name}.pem", "-extfile", f"{name}.ext", "-days", "2"]
        run(folder, ["openssl", "x509", "-req", *sign, *issue])
    return folder


def run(folder: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def server(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority / "ca.pem")
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def client(authority: Path, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority / "ca.pem")
    if name:
        context.load_cert_chain(authority / f"{name}.pem", authority / f"{name}.key")
    return context


def exchange(authority: Path, name: str | None, agency: str | None = None) -> list[Arrival]:
    """Send one message as ``name`` and read the answer; what arrived."""
    arrivals: list[Arrival] = []

    def accept(arrival: Arrival) -> Future[Receipt]:
        arrivals.append(arrival)
        future: Future[Receipt] = Future()
        future.set_result(Receipt("m", "AA", (), b"answer"))
        return future

    async def scene() -> None:
        listener = await listen("127.0.0.1", 0, accept=accept, agency=agency, tls=server(authority))
        try:
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", listener.port, ssl=client(authority, name)
                )
                writer.write(frame(MESSAGE))
                assert await reader.readexactly(9) == frame(b"answer")
                writer.close()
                await writer.wait_closed()
        finally:
            await listener.close(5)

    asyncio.run(scene())
    return arrivals


@pytest.mark.parametrize("name", ["cedar-general", "northside"])
def test_the_certificates_name_is_the_agency_whatever_the_header_says(
    authority: Path, name: str
) -> None:
    (arrival,) = exchange(authority, name)
    assert (arrival.agency, arrival.loopback) == (name, False)


def test_the_ports_agency_needs_its_own_certificate(authority: Path) -> None:
    (own,) = exchange(authority, "northside", agency="north.example")
    assert own.agency == "north.example"
    (other,) = exchange(authority, "cedar-general", agency="north.example")
    assert (other.agency, other.loopback) == (None, False)


def test_a_client_without_a_certificate_gets_nowhere(authority: Path) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        exchange(authority, None)
