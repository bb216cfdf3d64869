"""What is said about TLS reaches the drivers: a server with a foreign certificate is refused.

The embedded Postgres is built without TLS, so a server stands here that speaks just enough of the
protocol: it agrees to TLS, shows its certificate, reads the first message, and refuses in words.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pycurl
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kombu.asynchronous.http.curl import CurlClient

from shared.database import make_engine, transaction
from shared.errors import QueueUnavailable, StoreError, StoreUnavailable
from shared.notify import Listener
from shared.queues import check_queues
from shared.settings import Settings
from workers.sqs_guard import _HttpsConnection

pytestmark = pytest.mark.integration

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_FAR_ENOUGH = b"that is far enough"


@dataclass(frozen=True)
class Server:
    """Something on a port with a certificate, and what it was asked after the handshake."""

    port: int
    certificate: Path
    heard: list[bytes]


def _certificate(folder: Path, name: str) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself; its key lies in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file


@contextlib.contextmanager
def _serving(certificate: Path, greet: Callable[[socket.socket], bool]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return  # closed: the test is over
            with contextlib.suppress(OSError), plain:
                plain.settimeout(10)
                if not greet(plain):
                    continue
                with context.wrap_socket(plain, server_side=True) as wrapped:
                    heard.append(wrapped.recv(4096))
                    body = b"SFATAL\0VFATAL\0C28000\0M" + _FAR_ENOUGH + b"\0\0"
                    wrapped.sendall(b"E" + struct.pack("!i", len(body) + 4) + body)

    thread = threading.Thread(target=serve)
    thread.start()
    yield Server(listening.getsockname()[1], certificate, heard)
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def _as_postgres(plain: socket.socket) -> bool:
    agrees = plain.recv(8) == _SSL_REQUEST
    plain.sendall(b"S" if agrees else b"N")
    return agrees


@pytest.fixture
def postgres_with_tls(tmp_path: Path) -> Iterator[Server]:
    with _serving(_certificate(tmp_path, "postgres"), _as_postgres) as made:
        yield made


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """The certificate of somebody else."""
    return _certificate(tmp_path, "stranger")


def _settings(server: Server, trusted: Path, mode: str = "verify-full") -> Settings:
    return Settings(
        database_url=f"postgresql://carelane@127.0.0.1:{server.port}/carelane"
        f"?sslmode={mode}&sslrootcert={trusted}"
    )


def _ask(settings: Settings) -> None:
    engine = make_engine(settings, "tests", pool_size=1)
    try:
        with transaction(engine):
            pass
    finally:
        engine.dispose()


def _listen(settings: Settings) -> None:
    Listener(settings, "tests", "channel").connect()


@pytest.mark.parametrize("reach", [_ask, _listen])
def test_postgres_with_a_foreign_certificate_is_refused_before_a_word(
    postgres_with_tls: Server, stranger: Path, reach: Callable[[Settings], None]
) -> None:
    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        reach(_settings(postgres_with_tls, stranger))

    assert not any(postgres_with_tls.heard)


@pytest.mark.parametrize("reach", [_ask, _listen])
def test_postgres_with_the_certificate_that_is_trusted_is_spoken_to(
    postgres_with_tls: Server, reach: Callable[[Settings], None]
) -> None:
    with pytest.raises(StoreError, match="far enough"):
        reach(_settings(postgres_with_tls, postgres_with_tls.certificate))

    assert b"carelane" in postgres_with_tls.heard[0]


def test_postgres_that_offers_no_tls_is_refused_where_tls_is_asked_for(tmp_path: Path) -> None:
    certificate = _certificate(tmp_path, "postgres")

    def refuses(plain: socket.socket) -> bool:
        plain.recv(8)
        plain.sendall(b"N")
        return False

    with (
        _serving(certificate, refuses) as server,
        pytest.raises(StoreUnavailable, match="does not support SSL"),
    ):
        _ask(_settings(server, certificate, "require"))


def test_sqs_with_a_foreign_certificate_is_refused_before_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with _serving(_certificate(tmp_path, "sqs"), lambda _: True) as server:
        with pytest.raises(QueueUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            check_queues(Settings(sqs_endpoint_url=f"https://127.0.0.1:{server.port}"))
        assert not any(server.heard)


def test_a_workers_polls_check_the_certificate_too(tmp_path: Path) -> None:
    """kombu polls by curl, with a request of ours."""
    with _serving(_certificate(tmp_path, "sqs"), lambda _: True) as server:
        request = _HttpsConnection(http_client=object()).getrequest()
        request.url = f"https://127.0.0.1:{server.port}/"
        curl = pycurl.Curl()
        client = CurlClient.__new__(CurlClient)
        client._setup_request(curl, request, _Discard(), {}, pycurl)  # noqa: SLF001  as it does

        with pytest.raises(pycurl.error) as refused:
            curl.perform()

        assert refused.value.args[0] == pycurl.E_PEER_FAILED_VERIFICATION
        assert not any(server.heard)


class _Discard:
    def write(self, data: bytes) -> int:
        return len(data)
