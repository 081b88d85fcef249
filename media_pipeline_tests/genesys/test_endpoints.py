"""Hosts: where credentials may go, and from where media may come."""

import pytest

from media_pipeline.genesys.endpoints import REGIONS, Endpoints, MediaHosts
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.redaction import redact


def test_each_published_region_has_its_api_and_login_host():
    assert len(REGIONS) == 18
    for region in REGIONS:
        assert Endpoints.of(region=region) == Endpoints(f"https://api.{region}", f"https://login.{region}")


def test_the_login_host_follows_the_base_url():
    of = Endpoints.of
    assert of(region="", base_url="https://api.example.com/").login == "https://login.example.com"
    assert of(region="", base_url="http://127.0.0.1:8099").login == "http://127.0.0.1:8099"
    assert (
        of(region="", base_url="https://api.example.com", login_url="https://id.example.com").login
        == "https://id.example.com"
    )


@pytest.mark.parametrize(
    "url", ["ftp://x", "https://", "http://api.example.com", "https://a?b=c", "https://h:99999", "https://u:p@h"]
)
def test_an_unsafe_base_url_is_refused(url):
    with pytest.raises(ConfigurationError, match="GENESYS_BASE_URL"):
        Endpoints.of(region="", base_url=url)


@pytest.mark.parametrize(
    ("base", "link", "fine"),
    [
        ("https://api.mypurecloud.de", "https://bucket.s3.eu-central-1.amazonaws.com/x?X-Amz-Signature=1", True),
        ("https://api.mypurecloud.de", "https://api-downloads.mypurecloud.de/x", True),
        ("https://api.mypurecloud.de", "https://media.usw2.pure.cloud/x", True),
        ("https://api.mypurecloud.de", "http://bucket.s3.amazonaws.com/x", False),
        ("https://api.mypurecloud.de", "https://amazonaws.com.evil.example/x", False),
        ("https://api.mypurecloud.de", "https://evilamazonaws.com/x", False),
        ("https://api.mypurecloud.de", "https://169.254.169.254/latest", False),
        ("https://api.mypurecloud.de", "http://127.0.0.1/x", False),
        ("https://api.mypurecloud.de", "https://localhost/x", False),
        ("https://api.mypurecloud.de", "https://user@127.0.0.1:1/x", False),
        ("https://api.mypurecloud.de", "https://127.0.0.1/x", False),
        ("https://api.mypurecloud.de", "file:///etc/passwd", False),
        ("https://api.mypurecloud.de", "//x", False),
        ("https://api.mypurecloud.de", "https://[::1/x", False),
        ("http://127.0.0.1:8099", "http://localhost:9000/x", True),
        ("http://127.0.0.1:8099", "http://169.254.169.254/latest", False),
    ],
)
def test_only_hosts_that_serve_media_are_followed(base, link, fine):
    refusal = MediaHosts(base).refusal(link)
    assert (refusal is None) == fine
    assert "Signature" not in (refusal or "")


def test_an_operator_may_add_hosts():
    assert (
        MediaHosts("https://api.mypurecloud.de", ("media.example.com",)).refusal("https://a.media.example.com/x")
        is None
    )


def test_secrets_are_taken_out_of_text():
    text = redact(
        "GET https://user:pw@s3.example.com/k?X-Amz-Signature=abc&x=1 failed; Authorization: Bearer abc.def-123 "
        'body {"access_token": "tok123456", "n": 1} s3cr3t',
        ("s3cr3t",),
    )
    for secret in ("pw@", "abc", "tok123456", "s3cr3t"):
        assert secret not in text
    assert "https://s3.example.com/k?[redacted]" in text
    assert len(redact("x" * 1000)) == 200
