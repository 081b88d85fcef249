"""Turns botocore's errors into one sentence: which bucket, what is wrong, what to do; never a key id or a signature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from media_pipeline.storage.base import StorageError, StorageUnavailable

_ACTIONS = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "GetObject": "s3:GetObject",
    "DeleteObject": "s3:DeleteObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_DENIED = {"AccessDenied", "403", "AllAccessDisabled", "AccountProblem", "UserSuspended"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity"}
_MOVED = {"PermanentRedirect", "301", "307", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_FULL = {"QuotaExceeded", "ServiceQuotaExceeded", "InsufficientStorage", "507"}
_ALTERED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"}
_LATER = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException"}
_STAYS = "then run the day again; what was stored stays"


def code_of(error: Any) -> str:
    """The S3 error code of a ClientError, or its HTTP status where a reply had no body."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def status_of(error: Any) -> int:
    """The HTTP status of a ClientError."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: Any) -> bool:
    """Whether a ClientError says that there is no such object."""
    return code_of(error) in _MISSING


@contextmanager
def explained(url: str, bucket: str, key: str = "") -> Iterator[None]:
    """Raise StorageError for what botocore raises; a permission that is missing is one for `key`, where it is given."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _answered(url, bucket, key, error) from None
    except BotoCoreError as error:
        raise _unanswered(url, bucket, error) from None
    except (ResponseParserError, KeyError):  # no XML, or XML without what a reply must have
        raise StorageError(
            f"MEDIA_ROOT={url} cannot be used: what answers is no S3 server. Check AWS_ENDPOINT_URL_S3 and any proxy."
        ) from None


def _answered(url: str, bucket: str, key: str, error: Any) -> StorageError:
    code, status = code_of(error), status_of(error)
    place = f"MEDIA_ROOT={url} cannot be used"
    if code in _LATER or (status >= 500 and status not in (501, 507)):
        return StorageUnavailable(
            f"{place}: S3 was too busy or out of order ({code}) to the last of {_tries(error)}. Run the day again "
            "later; what was stored stays."
        )
    if code == "NoSuchBucket" or (code == "404" and error.operation_name == "HeadBucket"):
        return StorageError(f"{place}: the bucket {bucket!r} does not exist. Create it, or correct MEDIA_ROOT.")
    if code in _EXPIRED:
        return StorageError(
            f"{place}: the AWS credentials for the bucket {bucket!r} have expired. Renew them (AWS_SESSION_TOKEN and "
            f"its keys, or `aws sso login`), {_STAYS}."
        )
    if code in _REFUSED:
        return StorageError(
            f"{place}: S3 does not know the AWS credentials for the bucket {bucket!r} ({code}). Correct "
            f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, {_STAYS}."
        )
    if code in _DENIED:
        action = _ACTIONS.get(error.operation_name, error.operation_name)
        wanted = f"{action} for {key!r}" if key else action
        return StorageError(
            f"{place}: the AWS credentials lack a permission on the bucket {bucket!r}. Grant {wanted}, {_STAYS}."
        )
    if code in _MOVED:
        return StorageError(
            f"{place}: the bucket {bucket!r} is in another region ({code}). Set AWS_DEFAULT_REGION to the bucket's."
        )
    if code == "RequestTimeTooSkewed":
        return StorageError(f"{place}: this machine's clock is wrong by more than 15 minutes. Set it, {_STAYS}.")
    if code in _FULL:
        return StorageError(f"{place}: the bucket {bucket!r} is full ({code}). Raise its quota, {_STAYS}.")
    if code in _ALTERED:
        return StorageError(f"{place}: bytes changed on their way ({code}). Check any proxy before S3, {_STAYS}.")
    return StorageError(
        f"{place}: S3 answered {code} to {error.operation_name}. Check the bucket {bucket!r}, AWS_ENDPOINT_URL_S3, the "
        "region and the AWS credentials."
    )


def _unanswered(url: str, bucket: str, error: Any) -> StorageError:
    from botocore.exceptions import ConnectionError, HTTPClientError, IncompleteReadError, ParamValidationError

    kind = type(error).__name__
    if isinstance(error, ParamValidationError):
        return StorageError(f"MEDIA_ROOT={url} cannot be used: {bucket!r} is not a bucket's name. Correct MEDIA_ROOT.")
    if isinstance(error, (ConnectionError, HTTPClientError, IncompleteReadError)):
        return StorageUnavailable(
            f"MEDIA_ROOT={url} cannot be reached ({kind}). Check AWS_ENDPOINT_URL_S3, the region and the network, "
            f"{_STAYS}."
        )
    return StorageError(
        f"MEDIA_ROOT={url} cannot be used: no AWS credentials or settings for the bucket {bucket!r} ({kind}). Set "
        f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or a role, {_STAYS}."
    )


def _tries(error: Any) -> str:
    count = int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) + 1
    return "1 try" if count == 1 else f"{count} tries"
