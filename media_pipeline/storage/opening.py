"""Which store a MEDIA_ROOT means; the one place that knows the kinds there are."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.local import LocalStore


def open_store(root: str, spool: Path, concurrency: int) -> ObjectStore:
    """The store at a path or s3://bucket/prefix, for that many threads; raises ConfigurationError."""
    if "://" not in root:
        return LocalStore(Path(root).expanduser())
    parts = urlsplit(root)
    if parts.scheme != "s3" or not parts.netloc:
        raise ConfigurationError(f"MEDIA_ROOT={root!r} is neither a path nor s3://bucket/prefix; correct the variable.")
    from botocore.exceptions import BotoCoreError

    from media_pipeline.storage.s3 import S3Store
    from media_pipeline.storage.s3_client import connect

    try:
        client = connect(concurrency)
    except (ValueError, BotoCoreError) as error:  # botocore checks addresses and names when a client is made
        raise ConfigurationError(
            f"{root} cannot be opened: correct AWS_ENDPOINT_URL_S3 (http://... or https://...), AWS_DEFAULT_REGION or "
            f"AWS_PROFILE, or what stands in their place in AWS' own files; boto3 says {str(error)!r}."
        ) from None
    return S3Store(client, parts.netloc, parts.path, spool)
