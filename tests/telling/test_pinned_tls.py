"""Pinned to an address, TLS still asks for the name in the URL."""

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.telling.conftest import Handler, Receiver
from triage.itsm import outgoing


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver on loopback whose certificate is for hooks.internal, from a CA that is trusted here."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.internal")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    found = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"receiver": found}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_name_in_the_address_is_what_the_certificate_must_be_for(secure: Receiver) -> None:
    outgoing.exchange("POST", f"https://hooks.internal:{secure.port}/hook", body=b"{}", headers={}, address="127.0.0.1")
    assert len(secure.taken) == 1
    assert secure.taken[0][0]["host"] == f"hooks.internal:{secure.port}"
    with pytest.raises(outgoing.ExchangeFailed) as caught:
        outgoing.exchange(
            "POST", f"https://other.internal:{secure.port}/hook", body=b"{}", headers={}, address="127.0.0.1"
        )
    assert "doesn't match" in str(caught.value)
    assert len(secure.taken) == 1
