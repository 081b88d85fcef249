"""Replies as servers really send them, over a real socket: heads in pieces, every way to end a body, and nonsense."""

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from media_pipeline.transfer import exchange as exchange_module
from media_pipeline.transfer.connections import Connections
from media_pipeline.transfer.exchange import MAX_HEAD_BYTES, Broken

BODY = bytes(range(256)) * 2_000


def asked(*sent: bytes, pause: float = 0.0, hang_up: bool = False):
    """What is read of a reply that a server sends in these pieces: exchange, body, connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client, contextlib.suppress(ConnectionError):  # the other side may have heard enough
                client.recv(65_536)
                for piece in sent:
                    client.sendall(piece)
                    time.sleep(pause)
                if not hang_up:
                    client.recv(1)  # until the other side closes

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        connections = Connections()
        connection, target = connections.take(f"http://127.0.0.1:{listener.getsockname()[1]}/x")
        try:
            exchange = connection.ask(target, {"Range": "bytes=0-"})
            body = bytearray()
            while count := exchange.read_into(connection.buffer):
                body += connection.buffer[:count]
            return exchange, bytes(body)
        finally:
            connection.close()
            thread.join(5)


def head(*fields: str, status: str = "206 Partial Content") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode("latin-1")


def test_a_head_byte_by_byte_and_a_body_with_it():
    whole = head("content-LENGTH: 5", 'ETag: "é"') + b"bytes"
    exchange, body = asked(*(whole[n : n + 1] for n in range(len(whole))))
    assert (exchange.status, body, exchange.is_drained) == (206, b"bytes", True)
    assert exchange.headers.get("Content-Length") == "5"
    assert exchange.headers["etag"] == '"é"'
    assert exchange.headers.get("Accept-Ranges", "none") == "none"


def test_a_long_body_is_read_as_it_comes():
    exchange, body = asked(
        head(f"Content-Length: {len(BODY)}") + BODY[:10], BODY[10:300_000], BODY[300_000:], pause=0.01
    )
    assert body == BODY
    assert exchange.is_drained


def test_what_came_within_a_second_is_handed_over():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65_536)
                client.sendall(head("Content-Length: 1000") + b"some")
                client.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        connection, target = Connections().take(f"http://127.0.0.1:{listener.getsockname()[1]}/x")
        exchange = connection.ask(target, {})
        began = time.monotonic()
        assert exchange.read_into(connection.buffer) == 4
        assert time.monotonic() - began < 2
        connection.close()


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_a_chunked_body(size):
    chunks = [BODY[n : n + size] for n in range(0, min(len(BODY), size * 20), size)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    exchange, body = asked(head("Transfer-Encoding: chunked") + sent[:3], sent[3:])
    assert body == b"".join(chunks)
    assert exchange.is_drained


def test_a_chunked_body_that_is_cut_off_has_no_end():
    with pytest.raises(Broken, match="IncompleteRead"):
        asked(head("Transfer-Encoding: chunked"), b"5\r\nhello\r\n", hang_up=True)


def test_the_first_status_of_another_protocol_is_an_error():
    with pytest.raises(Broken):
        asked(head("Connection: upgrade", "Upgrade: websocket", status="101 Switching Protocols"), hang_up=True)


def test_fields_that_come_twice_are_a_list():
    exchange, _ = asked(head('ETag: "a"', 'ETag: "b"', "Content-Length: 0"))
    assert exchange.headers["etag"] == '"a", "b"'


def test_trailers_say_nothing():
    trailer = b'2\r\nok\r\n0\r\nETag: "late"\r\n\r\n'
    exchange, body = asked(head("Transfer-Encoding: chunked"), trailer)
    assert (body, exchange.headers.get("ETag"), exchange.is_drained) == (b"ok", None, True)


@pytest.mark.parametrize("framing", [b"1;" + b"x" * 200_000, b"1\r\nx\r\n0\r\n" + b"A: b\r\n" * 30_000])
def test_framing_without_a_body_has_an_end(framing):
    with pytest.raises(Broken):
        asked(head("Transfer-Encoding: chunked"), framing)


@pytest.mark.parametrize(
    "pieces", [[head(status="103 Early Hints")] * 40, [b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 40]]
)
def test_a_head_that_never_ends_is_given_up(monkeypatch, pieces):
    monkeypatch.setattr(exchange_module, "READ_SECONDS", 1)  # and none of the pieces is waited for that long
    with pytest.raises(Broken, match="TimeoutError"):
        asked(*pieces, pause=0.1)


def test_a_body_that_ends_with_its_connection():
    exchange, body = asked(head(), BODY, hang_up=True)
    assert body == BODY
    assert not exchange.is_drained


def test_a_body_that_is_cut_off_is_not_drained():
    exchange, body = asked(head("Content-Length: 10") + b"half", hang_up=True)
    assert (body, exchange.is_drained) == (b"half", False)


def test_no_body_where_there_can_be_none():
    for status in ("204 No Content", "304 Not Modified"):
        exchange, body = asked(head(status=status))
        assert (body, exchange.is_drained) == (b"", True)
    exchange, body = asked(head("Content-Length: 0", status="416 Range Not Satisfiable"))
    assert (exchange.status, body, exchange.is_drained) == (416, b"", True)


def test_early_hints_are_passed_over():
    exchange, body = asked(head("Link: </x>", status="103 Early Hints") + head("Content-Length: 2") + b"ok")
    assert (exchange.status, body) == (206, b"ok")


def test_a_connection_that_the_server_closes_is_not_used_again():
    exchange, body = asked(head("Content-Length: 2", "Connection: close") + b"ok")
    assert (body, exchange.is_drained) == (b"ok", False)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 206 Partial",
        head("Content-Length: 5", "Content-Length: 6") + b"bytes",
        head("Content-Length: 5", "Transfer-Encoding: chunked") + b"bytes",
        head("Content-Length: -5"),
        head("Content-Length: five"),
        b"HTTP/1.1 206 OK\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
    ],
)
def test_what_contradicts_itself_is_refused(reply):
    with pytest.raises(Broken):
        asked(reply, hang_up=True)


def test_a_header_of_ours_cannot_begin_another():
    connection, target = Connections().take("http://127.0.0.1:9/x")
    with pytest.raises(Broken):
        connection.ask(target, {"If-Range": '"a"\r\nX: y'})


def test_tls_hands_over_records_and_waits_no_longer_than_a_second(tmp_path, monkeypatch):
    certificate, key = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for bodies in ([BODY, BODY], [BODY[:100]]):
                plain, _ = listener.accept()
                with tls.wrap_socket(plain, server_side=True) as client:
                    for body in bodies:
                        client.recv(65_536)
                        client.sendall(head(f"Content-Length: {len(BODY)}") + body)
                    client.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        connections = Connections()
        link = f"https://127.0.0.1:{listener.getsockname()[1]}/x"
        for _ in range(2):
            connection, target = connections.take(link)
            exchange = connection.ask(target, {})
            body = bytearray()
            while count := exchange.read_into(connection.buffer):
                body += connection.buffer[:count]
            assert body == BODY
            connections.give_back(connection)
        connections.close()
        connection, target = connections.take(link)
        exchange = connection.ask(target, {})
        began = time.monotonic()
        assert exchange.read_into(connection.buffer) == 100
        monkeypatch.setattr("media_pipeline.transfer.exchange.READ_SECONDS", 2)
        with pytest.raises(Broken, match="TimeoutError"):
            exchange.read_into(connection.buffer)
        assert 1 < time.monotonic() - began < 10
        connection.close()
        thread.join(5)


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"
