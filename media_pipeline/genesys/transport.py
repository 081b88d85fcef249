"""The one httpx client to Genesys Cloud: pooled connections, timeouts, pacing, retries, and errors as plain sentences.

Media bytes do not pass here (see `media_pipeline.transfer.http`): no bearer token may reach a presigned URL.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import msgspec

from media_pipeline.genesys.addresses import AddressRefused, guarded
from media_pipeline.genesys.auth import BearerAuth, Token, TokenCache
from media_pipeline.genesys.endpoints import Endpoints, MediaHosts
from media_pipeline.genesys.errors import (
    AuthenticationError,
    ConfigurationError,
    MalformedReply,
    ServerError,
    Unreached,
)
from media_pipeline.genesys.pacing import CallStats, Pacer, Patience, TryAgain
from media_pipeline.genesys.permissions import NONE_NEEDED
from media_pipeline.genesys.replies import Replies, message_of, object_of
from media_pipeline.genesys.watchdog import Watchdog

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
BODY_SECONDS = 60.0
"""From a reply's head to its end: one that drips would hold a thread for ever, as each read brings something."""
DEFAULT_TOKEN_SECONDS = 3600.0
"""Assumed when a token reply does not say how long the token lives."""

_ERROR_BYTES = 64 * 1024
"""Read of a refusal where a stream was asked for: it may have no end."""
_ABOUT_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
MAX_REDIRECTS = 5
TOKEN = "token"  # noqa: S105  the operation's name

_BEGAN = "began"

CredentialStyle = Literal["basic", "form"]
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class RawBody:
    """A request's body that is not JSON."""

    content_type: str
    data: bytes = field(repr=False)


class Transport:
    """JSON calls to one org; safe to use from threads; close it when done."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        client_id: str,
        client_secret: str,
        credential_style: CredentialStyle,
        pacer: Pacer,
        stats: CallStats,
        patience: Patience,
        connections: int,
        timeouts: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
    ) -> None:
        """`timeouts`: seconds for a connection, and for each read."""
        missing = [n for n, v in (("GENESYS_CLIENT_ID", client_id), ("GENESYS_CLIENT_SECRET", client_secret)) if not v]
        if missing:
            raise ConfigurationError(
                f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set: give the OAuth client's "
                "credentials in the environment or in .env (to rehearse without an org: make demo)."
            )
        self.endpoints = endpoints
        self._client_id = client_id
        self._client_secret = client_secret
        self._style = credential_style
        self._replies = Replies(client_secret)
        self._pacer = pacer
        self._stats = stats
        self.patience = patience
        self._timeouts = timeouts
        self._http = self._client(connections, connections)
        self._streams: httpx.Client | None = None
        self._tokens = TokenCache(self._fetch_token)
        self._auth = BearerAuth(self._tokens)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        if self._streams is not None:
            self._streams.close()

    def token_lifetime_seconds(self) -> float:
        """How long the token lives, which is asked for if there is none; raises AuthenticationError."""
        self._tokens.current()
        return self._tokens.lifetime_seconds or 0.0

    def get_json(self, operation: str, path: str, *, permission: str) -> dict[str, Any]:
        """GET an object; `operation` names the call in counts, `permission` what a 403 most likely lacks."""
        return object_of(self.call(operation, "GET", path, permission=permission), operation)

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        permission: str,
        body: object = None,
        accepted: tuple[int, ...] = (200,),
        decode: Callable[[bytes], Any] = msgspec.json.decode,
        patience: Patience | None = None,
        last_look: Callable[[], None] | None = None,
    ) -> Any:
        """Send JSON, return the reply's; a 202 that is not `accepted` is asked again, then raises StillPreparing.

        `decode` may make more of a large reply than plain objects; what it refuses is returned as plain objects.
        `patience`: this call's own. A `body` that is a RawBody goes out as it is.
        `last_look` is called before each request goes out, after all waiting; what it raises keeps the request back.
        """

        content, headers = None, None
        if isinstance(body, RawBody):
            content, headers = body.data, {"Content-Type": body.content_type}
        elif body is not None:
            content, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}

        def attempt() -> Any:
            request = self._http.build_request(
                method,
                self.endpoints.api + path,
                content=content,
                headers=headers,
                extensions={"operation": operation, "last_look": last_look},
            )
            return self._replies.parsed(
                self._replies.judged(self._send(request, self._auth), operation, permission, accepted), decode
            )

        return (patience or self.patience).run(attempt, operation, self._stats, self._pacer.waited_seconds)

    @contextmanager
    def streamed(
        self, operation: str, path: str, headers: Mapping[bytes, bytes], watchdog: Watchdog, *, permission: str
    ) -> Iterator[httpx.Response]:
        """One try of a GET whose reply (200, or 204) is read piece by piece; `watchdog` ends it.

        Redirects are followed, the token goes to the API's own origin only, and a refused one is renewed once. Raises
        TryAgain with what may pass, GenesysError with what may not.
        """
        url, renewed = httpx.URL(self.endpoints.api + path), False
        if self._streams is None:  # each on a connection of its own: the watchdog must see it begin
            self._streams = guarded(self._client(None, 0), MediaHosts(self.endpoints.api).admits)
        for _ in range(MAX_REDIRECTS + 2):
            ours = _origin(url) == _origin(httpx.URL(self.endpoints.api))
            token = self._tokens.current() if ours else None
            bearer = {} if token is None else {b"Authorization": f"Bearer {token}".encode()}
            extensions = {"operation": operation, "streamed": True, "trace": watchdog.trace}
            # bytes, since ids may hold any character; unpacked, a megabyte of ours could come out of a kilobyte
            asked = {b"Accept-Encoding": b"identity", **headers, **bearer}
            request = self._http.build_request("GET", url, headers=asked, extensions=extensions)
            response = self._send(request, None, through=self._streams)
            try:
                if response.has_redirect_location:
                    url = self._led_to(url, response, operation)
                elif response.status_code == httpx.codes.UNAUTHORIZED and token is not None and not renewed:
                    self._tokens.renew(token)
                    renewed = True
                else:
                    self._replies.judged(_beginning_of(response), operation, permission, (200, 204))
                    if token is not None:
                        self._tokens.proved(token)
                    yield response
                    return
            finally:
                response.close()
        raise MalformedReply(f"Genesys Cloud redirects '{operation}' in circles.")

    def _led_to(self, url: httpx.URL, response: httpx.Response, operation: str) -> httpx.URL:
        """Where a redirect leads to, if that is ours or a host that we may trust."""
        try:
            target = url.join(response.headers["Location"])
        except httpx.InvalidURL:
            raise MalformedReply(f"Genesys Cloud redirects '{operation}' to what is not a URL.") from None
        foreign = _origin(target) != _origin(httpx.URL(self.endpoints.api))
        if foreign and MediaHosts(self.endpoints.api).refusal(str(target)) is not None:
            raise MalformedReply(
                f"Genesys Cloud redirects '{operation}' to {target.scheme}://{target.host}, which is not followed: not "
                "one of its hosts, or not encrypted. Check GENESYS_BASE_URL and the proxy."
            )
        return target

    def _fetch_token(self) -> Token:
        form = {"grant_type": "client_credentials"}
        basic = None
        if self._style == "basic":
            basic = httpx.BasicAuth(self._client_id, self._client_secret)
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}

        def attempt() -> dict[str, Any]:
            request = self._http.build_request(
                "POST", f"{self.endpoints.login}/oauth/token", data=form, extensions={"operation": TOKEN}
            )
            response = self._send(request, basic)
            if response.status_code in (400, 401, 403):
                raise AuthenticationError(
                    f"Genesys Cloud at {self.endpoints.login} refused the client credentials "
                    f"(HTTP {response.status_code}{self._replies.said(response)}). Check GENESYS_CLIENT_ID and "
                    "GENESYS_CLIENT_SECRET, that the OAuth client is of the type Client Credentials, and that "
                    "GENESYS_REGION is its org's region."
                )
            return object_of(self._replies.parsed(self._replies.judged(response, TOKEN, NONE_NEEDED)), TOKEN)

        body = self.patience.run(attempt, TOKEN, self._stats, self._pacer.waited_seconds)
        value, seconds = body.get("access_token"), body.get("expires_in", DEFAULT_TOKEN_SECONDS)
        if not isinstance(value, str) or not value or not isinstance(seconds, int | float) or seconds <= 0:
            raise MalformedReply(
                f"The token reply of {self.endpoints.login} has no usable access_token and expires_in."
            )
        return Token(value, float(seconds))

    def _client(self, connections: int | None, kept_alive: int) -> httpx.Client:
        connect, read = self._timeouts
        return httpx.Client(
            timeout=httpx.Timeout(read, connect=connect, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=kept_alive),
            headers={"User-Agent": "media-pipeline", "Accept": "application/json"},
            event_hooks={"request": [self._before], "response": [self._after]},
            follow_redirects=False,
        )

    def _send(
        self, request: httpx.Request, auth: httpx.Auth | None, *, through: httpx.Client | None = None
    ) -> httpx.Response:
        """The reply, whole; through a client for streams, unread."""
        operation = request.extensions["operation"]
        try:
            return (through or self._http).send(request, auth=auth, stream=through is not None)
        except AddressRefused:
            raise MalformedReply(f"Genesys Cloud redirects '{operation}' to a host inside a private network.") from None
        except (httpx.TransportError, httpx.DecodingError) as error:  # DecodingError: compressed, and torn
            self._stats.called(operation, 0, _seconds_since(request))
            host = request.url.host
            cause = self._replies.clean(str(error)) or type(error).__name__
            kind = Unreached if isinstance(error, _NEVER_SENT) else ServerError
            raise TryAgain(
                kind(
                    f"No answer from {host} to '{operation}' ({cause}). Check the network, the proxy and "
                    "GENESYS_BASE_URL."
                )
            ) from None

    def _before(self, request: httpx.Request) -> None:
        self._pacer.acquire()
        last_look = request.extensions.get("last_look")
        if last_look is not None:
            last_look()
        request.extensions[_BEGAN] = time.monotonic()

    def _after(self, response: httpx.Response) -> None:
        operation, status = response.request.extensions["operation"], response.status_code
        message = ""
        try:
            if "streamed" not in response.request.extensions:
                response.stream = _Bounded(response.stream, BODY_SECONDS)
                response.read()  # as who asked is going to; a call has taken as long as its whole reply
                if status == httpx.codes.TOO_MANY_REQUESTS:
                    message = message_of(response)
        finally:
            if operation != TOKEN:  # the login host's limits are its own
                self._pacer.learned(status, response.headers, message)
        self._stats.called(operation, status, _seconds_since(response.request))


class _Bounded(httpx.SyncByteStream):
    """A body that has to end in time; raises httpx.ReadTimeout."""

    def __init__(self, stream: Any, seconds: float) -> None:
        self._stream = stream
        self._until = time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            if time.monotonic() > self._until:
                raise httpx.ReadTimeout("the reply did not end")
            yield piece

    def close(self) -> None:
        """Close what it reads from."""
        self._stream.close()


def _seconds_since(request: httpx.Request) -> float | None:
    """The time since a request left, without its wait for the budget; None when it never did."""
    began = request.extensions.get(_BEGAN)
    return None if began is None else time.monotonic() - began


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _beginning_of(response: httpx.Response) -> httpx.Response:
    """A refusal with as much of its text as is needed; what is streamed stays unread."""
    if response.status_code in (200, 204):
        return response
    beginning = b""
    with suppress(httpx.TransportError):
        for piece in response.iter_raw():
            beginning += piece[:_ERROR_BYTES]
            if len(beginning) >= _ERROR_BYTES:
                break
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _ABOUT_THE_BODY]
    return httpx.Response(response.status_code, headers=headers, content=beginning, request=response.request)
