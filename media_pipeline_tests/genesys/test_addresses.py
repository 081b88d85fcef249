"""Addresses: a listed name is no way into the network that this runs in."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_pipeline.genesys.addresses import AddressRefused, admitted, guarded
from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.settings import Settings
from media_pipeline.transfer.exchange import Broken
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import Ending
from media_pipeline.transfer.sizes import SizeProbe

CLOUD, SANDBOX = "https://api.mypurecloud.de", "http://127.0.0.1:8099"
HOST = "bucket.s3.amazonaws.com"
INSIDE = (
    "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.0.0.1", "127.8.8.8",
    "0.0.0.0",  # noqa: S104
    "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fd00:ec2::254", "fec0::1",
    "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:a00:1::",
)  # fmt: skip
PUBLIC = ("52.216.10.1", "2600:1f00::1", "::ffff:52.216.10.1", "64:ff9b::34d8:a01")


def names_lead_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every name has these addresses; what was looked up."""
    asked = []

    def looked_up(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        six = socket.AF_INET6
        return [
            (
                six if ":" in each else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (each, port, 0, 0)[: 4 if ":" in each else 2],
            )
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return asked


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server inside, which nobody may reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def assert_nobody_came(listener: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        listener.accept()


@pytest.mark.parametrize("address", INSIDE)
def test_a_listed_host_may_not_be_inside(address):
    assert not MediaHosts(CLOUD).admits(HOST, address)
    if not address.startswith("127.") and address != "::1":
        assert not MediaHosts(SANDBOX).admits(HOST, address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_listed_host_may_be_anywhere_on_the_internet(address):
    assert MediaHosts(CLOUD).admits(HOST, address)


def test_loopback_is_for_who_works_on_loopback_and_networks_for_who_names_them():
    assert MediaHosts(SANDBOX).admits("localhost", "127.0.0.1")
    assert MediaHosts("https://api.inside.example").admits("api.inside.example", "10.0.0.7")
    own = MediaHosts(CLOUD, networks=("10.20.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "fd00::/8"))
    assert own.admits(HOST, "10.20.3.4")
    assert own.admits(HOST, "::ffff:10.20.3.4")
    assert own.admits(HOST, "fd00::7")
    for never in ("10.21.0.1", "169.254.169.254", "127.0.0.1"):
        assert not own.admits(HOST, never)


def test_networks_come_from_a_variable_and_are_checked(monkeypatch):
    monkeypatch.setenv("MEDIA_DOWNLOAD_NETWORKS", "10.20.0.0/16, fd00::/8")
    assert Settings().download_networks == ("10.20.0.0/16", "fd00::/8")
    monkeypatch.setenv("MEDIA_DOWNLOAD_NETWORKS", "10.20.0.1/16")
    with pytest.raises(ValueError, match="has host bits set"):
        Settings()


def test_of_several_addresses_only_those_are_used_that_may_be(monkeypatch):
    names_lead_to(monkeypatch, "10.0.0.1", "52.216.10.1", "::1")
    assert [each[4][0] for each in admitted(HOST, 443, MediaHosts(CLOUD).admits)] == ["52.216.10.1"]


def test_a_download_that_a_name_leads_inside_is_refused_before_a_byte_leaves(monkeypatch, listener):
    names_lead_to(monkeypatch, "127.0.0.1", "10.0.0.1")
    media = MediaHttp(MediaHosts(CLOUD), CallStats())
    link = f"https://{HOST}:{listener.getsockname()[1]}/x?X-Amz-Signature=secret"
    with pytest.raises(Ending) as refused, media.get(link, offset=0, etag=None):
        pass
    assert refused.value.reason == "bad_url"
    assert "MEDIA_DOWNLOAD_NETWORKS" in str(refused.value.detail)
    assert "secret" not in str(refused.value.detail)
    assert_nobody_came(listener)


def test_httpx_clients_for_links_keep_to_the_same_rule(monkeypatch, listener):
    names_lead_to(monkeypatch, "127.0.0.1")
    link = f"https://{HOST}:{listener.getsockname()[1]}/x"
    assert SizeProbe(MediaHosts(CLOUD)).size_of(link) is None
    with guarded(httpx.Client(), MediaHosts(CLOUD).admits) as client, pytest.raises(AddressRefused, match=HOST):
        client.get(link)
    assert_nobody_came(listener)


def test_a_redirect_inside_is_not_followed(monkeypatch, listener):
    """The first host is fine; the one it points to has an address inside."""
    real = socket.getaddrinfo
    with socket.create_server(("127.0.0.1", 0)) as first:
        target = f"https://{HOST}:{listener.getsockname()[1]}/x"

        def answer() -> None:
            connection, _ = first.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

        answering = threading.Thread(target=answer)
        answering.start()
        inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443))]
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: inside if host == HOST else real(host, *a, **k)
        )
        media = MediaHttp(MediaHosts(SANDBOX), CallStats())
        link = f"http://127.0.0.1:{first.getsockname()[1]}/x"
        with pytest.raises(Ending) as refused, media.get(link, offset=0, etag=None):
            pass
        answering.join()
    assert refused.value.reason == "bad_url"
    assert_nobody_came(listener)


def test_what_is_connected_to_is_what_was_judged_and_the_certificate_is_for_the_name(monkeypatch, tmp_path: Path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=other.example"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    named: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _, name, __: named.append(name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def shake_hands() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    try:
                        context.wrap_socket(connection, server_side=True).close()
                    except (ssl.SSLError, OSError):
                        continue

        shaking = threading.Thread(target=shake_hands)
        shaking.start()
        asked = names_lead_to(monkeypatch, "127.0.0.1")
        link = f"https://{HOST}:{server.getsockname()[1]}/x"
        media = MediaHttp(MediaHosts(SANDBOX), CallStats())
        with pytest.raises(Broken, match="SSLCertVerificationError"), media.get(link, offset=0, etag=None):
            pass
        assert asked == [HOST]  # once: nobody is asked again for what is connected to
        with (
            guarded(httpx.Client(), MediaHosts(SANDBOX).admits) as client,
            pytest.raises(httpx.ConnectError, match="certificate verify failed"),
        ):
            client.get(link)
        shaking.join()
    assert named == [HOST, HOST]
