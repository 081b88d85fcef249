"""The boto3 client that the store works with; region, endpoint and credentials are found as boto3 finds them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 5
READ_SECONDS = 20
ATTEMPTS = 8
"""A request's tries. Waits of at most 1-2-4-8-16-20-20 s lie between them (half of that on average), so a server that
refuses or resets is given up within 71 s, one that accepts and never answers within four minutes."""
SPARE_CONNECTIONS = 4
"""Besides one per recording in flight: the audit log, the tables."""
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


def connect(concurrency: int, **config: Any) -> Any:
    """A client for that many threads, with `config` beside what is set here.

    botocore's clients are thread-safe; their connections must suffice).

    dagster-aws' S3Resource makes its client without a botocore Config: 10 connections, 5 attempts, checksums in
    trailers and bucket names in host names. Hence boto3 itself.

    Retry mode `standard`: bounded in tries and time, and its quota ends retries early when everything fails. `adaptive`
    would slow all threads for as long as the server is busy, without a limit; the number of threads is our limit.
    Checksums `when_required`: servers from before 2025 refuse boto3's checksum trailers (411, 501); uploads carry
    Content-MD5 instead, which they all verify.
    """
    import boto3
    from botocore.config import Config
    from botocore.session import Session

    options: dict[str, Any] = {
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "tcp_keepalive": True,
        "max_pool_connections": concurrency + SPARE_CONNECTIONS,
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "user_agent_extra": "media-pipeline",
        **config,
    }
    core = Session()
    session = boto3.Session(botocore_session=core)
    client = session.client("s3", config=Config(**options))
    chosen = (core.get_scoped_config().get("s3") or {}).get("addressing_style")
    if is_aws(client) or chosen:
        return client
    client.close()  # a server of one's own seldom has a host name per bucket
    return session.client("s3", config=Config(**options, s3={"addressing_style": "path"}))


def is_aws(client: Any) -> bool:
    """Whether the client talks to Amazon's own S3."""
    host = urlsplit(str(client.meta.endpoint_url)).hostname or ""
    return host.endswith(_AWS_DOMAINS)
