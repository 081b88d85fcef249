"""Who may see pages: a token with the scope `listen`, given in a browser's login, or a signed link to one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from media_pipeline.playback.links import Scope
from media_pipeline.playback.refusals import REASONS, Refusal
from media_pipeline.playback.requests import MAX_ID_CHARACTERS, admitted
from media_pipeline.service.access import NeedsInBrowser
from media_pipeline.service.problems import Problem
from media_pipeline.service.rendering import PageProblem
from media_pipeline.service.tokens import DOWNLOAD, LISTEN, Caller

LOGIN = "Log in with any name and, as password, a token with the scope listen; or open a link that was made for you."
MAX_FILE = 9999


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at one call; `expires`: when their link does, None for a token's bearer, who may see all calls."""

    name: str
    scope: Scope
    expires: int | None = None


class ForPeople(NeedsInBrowser):
    """A token's scope, with refusals as pages."""

    async def __call__(self, request: Request) -> Caller:
        try:
            return await super().__call__(request)
        except Problem as problem:
            raise as_page(problem) from None


class ForListeners(ForPeople):
    """The same, or a signed link to this very file; gives the visitor."""

    async def __call__(self, request: Request) -> Visitor:  # type: ignore[override]  # its routes want to know more
        link = request.query_params.get("link")
        if link is None:
            caller = await super().__call__(request)
            return Visitor(caller.name, _scope_of(caller))
        keys = request.app.state.listening.keys
        asked = (request.path_params["recording_id"][:MAX_ID_CHARACTERS], file_of(request))
        try:
            given = request.headers.getlist("authorization")
            who = admitted(given, link, asked, False, request.app.state.tokens.caller, keys)
            return Visitor(who.subject, cast("Scope", who.scope), who.expires)
        except Refusal as refusal:
            challenges = self.challenges if refusal.status == 401 else ()
            sentence = REASONS[refusal.reason][1]
            raise PageProblem(refusal.status, sentence, reason=refusal.reason, challenges=challenges) from None


def _scope_of(caller: Caller) -> Scope:
    if LISTEN not in caller.scopes:
        return "listen-redacted"
    return "download" if DOWNLOAD in caller.scopes else "listen"


def as_page(problem: Problem) -> PageProblem:
    """The same refusal for people."""
    sentence = LOGIN if problem.status == 401 else problem.detail
    return PageProblem(
        problem.status, sentence, reason=problem.reason, headers=problem.headers, challenges=problem.challenges
    )


def file_of(request: Request) -> int:
    """Which file of a recording is asked for; raises PageProblem."""
    text = request.query_params.get("file", "0")
    if not (text.isascii() and text.isdecimal() and len(text) < 5):
        raise PageProblem(422, f"The address names a file that cannot be: a number from 0 to {MAX_FILE}.")
    return int(text)
