"""Who may call which route. Each route has one `Access` among its dependencies; `check_routes` refuses an app where one
has none, so that no route can be left open by mistake.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBase, HTTPBearer
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from media_pipeline.playback.requests import token_in
from media_pipeline.service.problems import Problem
from media_pipeline.service.tokens import SCOPES, Caller, Tokens

_BEARER = 'Bearer realm="media-pipeline"'
_BASIC = 'Basic realm="media-pipeline", charset="UTF-8"'


class Access:
    """A rule by which a request is let in."""


class Open(Access):
    """Anybody, without a token."""

    def __call__(self) -> None:
        """Let in."""


class Needs(Access, SecurityBase):
    """Callers whose token has this scope, or one of the others; gives the caller."""

    def __init__(self, scope: str, *others: str) -> None:
        self.scope, self.scopes = scope, frozenset((scope, *others))
        self.model = HTTPBearer(description="A token of MEDIA_SERVICE_TOKENS with the route's scope.")
        self.scheme_name = "token"

    challenges: tuple[str, ...] = (_BEARER,)

    async def __call__(self, request: Request) -> Caller:
        tokens: Tokens = request.app.state.tokens
        caller = tokens.caller(self._token(request.headers.get("authorization", "")))
        if caller is None:
            raise Problem(401, "This needs a known token: Authorization: Bearer <token>.", challenges=self.challenges)
        if not self.scopes & caller.scopes:
            raise Problem(403, f"The token of {caller.name} lacks the scope {self.scope} ({SCOPES[self.scope]}).")
        return caller

    def _token(self, authorization: str) -> str:
        scheme, _, credentials = authorization.partition(" ")
        return credentials.strip() if scheme.lower() == "bearer" else ""


class NeedsInBrowser(Needs):
    """The same for pages to read: a browser may send the token as the password of HTTP Basic, with any user name.

    Never for what changes anything: browsers send that password along with other sites' requests, too.
    """

    def __init__(self, scope: str, *others: str) -> None:
        super().__init__(scope, *others)
        self.model = HTTPBase(scheme="basic", description="For browsers: any user name, the token as password.")
        self.scheme_name = "browser"

    challenges = (_BEARER, _BASIC)

    def _token(self, authorization: str) -> str:
        return token_in(authorization)


def check_routes(app: FastAPI) -> None:
    """Raise TypeError unless each route says who may call it."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or not any(isinstance(rule, Access) for rule in _rules(route.dependant)):
            raise TypeError(f"{getattr(route, 'path', route)} does not say who may call it: give it an Access.")


def _rules(dependant: Dependant) -> list[Any]:
    return [rule for each in dependant.dependencies for rule in (each.call, *_rules(each))]
