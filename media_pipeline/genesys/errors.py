"""The error space of Genesys Cloud as this project sees it; every sentence is free of secrets.

    GenesysError
    ├── ConfigurationError     a variable is missing or wrong          permanent
    ├── AuthenticationError    the client credentials are refused      permanent
    ├── PermissionMissing      403, names the permission               permanent
    ├── NotFound               404
    ├── RateLimited            429 until the retries or the deadline ended
    ├── ServerError            5xx, timeouts, broken connections, jobs that fail, until the end
    │   └── Unreached          no connection came about: the request had no effect
    ├── StillPreparing         202 until the end: not "none"
    ├── Undeliverable          the recording is known, and there is no link to it
    └── MalformedReply         an answer that is not what the API promises
        └── Refused            400, 413 and their like: the request itself is not accepted
            └── Conflict       409, 412: what is there contradicts it

A permanent error stops a run at once and is never retried. Transfer errors live in `media_pipeline.transfer`.
"""

from __future__ import annotations


class GenesysError(Exception):
    """Base of all errors of this room; `permanent` says that trying again cannot help."""

    permanent = False
    reason = "server_error"


class ConfigurationError(GenesysError):
    """A variable is missing or has a value that cannot work."""

    permanent = True


class AuthenticationError(GenesysError):
    """Genesys Cloud refused the client credentials, or tokens it issued."""

    permanent = True


class PermissionMissing(GenesysError):
    """The OAuth client lacks a permission."""

    permanent = True
    reason = "forbidden"


class NotFound(GenesysError):
    """The thing asked for does not exist (any more)."""

    reason = "no_file"


class RateLimited(GenesysError):
    """Genesys Cloud kept answering 429, or asked to wait past the deadline."""

    reason = "rate_limited"


class ServerError(GenesysError):
    """Genesys Cloud kept failing or could not be reached."""

    reason = "server_error"


class Unreached(ServerError):
    """There was no connection to Genesys Cloud, so that the request cannot have had an effect."""

    reason = "unreached"


class MalformedReply(GenesysError):
    """The reply is not the JSON that the API promises."""

    reason = "bad_reply"


class Refused(MalformedReply):
    """Genesys Cloud does not accept the request as it is; of a call that only reads, that is no answer it promises."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class Conflict(Refused):
    """What the request wants contradicts what is there."""


class StillPreparing(GenesysError):
    """Genesys Cloud accepted the question and had no answer yet when patience ended."""

    reason = "not_ready"


class Undeliverable(GenesysError):
    """Genesys Cloud knows the recording and gives no link to it; `reason` says why."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
