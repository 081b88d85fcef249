"""Nobody without the right token gets anything but /health, on any route there is or will be."""

import base64
import hashlib

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.service.access import Needs, NeedsInBrowser, Open, check_routes
from media_pipeline.service.app import create_app
from media_pipeline.service.health import HEALTH
from media_pipeline.service.tokens import SCOPES, Tokens, new_token
from media_pipeline.settings import Settings

TOKEN = "t" * 32


def operations(app: FastAPI) -> list[tuple[str, str, tuple[str, ...]]]:
    """Method, path and scopes of every route but the one that anybody may call."""
    found = []
    for route in app.routes:
        assert isinstance(route, APIRoute)
        if route.path != HEALTH:
            (rule,) = [each.call for each in route.dependant.dependencies if isinstance(each.call, Needs)]
            found += [(method, route.path, tuple(sorted(rule.scopes))) for method in route.methods]
    return found


def test_health_is_all_that_is_open(service):
    rules = {route.path: [type(each.call) for each in route.dependant.dependencies] for route in service.app.routes}
    assert [path for path, each in rules.items() if Open in each] == [HEALTH]


def test_each_other_route_refuses_without_token_with_a_wrong_one_and_without_its_scope(service):
    found = operations(service.app)
    assert len(found) >= 6
    for method, path, (scope, *others) in found:
        wrong = [
            None,
            "Bearer",
            "Bearer wrong",
            f"Basic {base64.b64encode(b'x:wrong').decode()}",
            b"Basic \xff\xfe",
            f"Digest {service.tokens[scope]}",
            service.tokens[scope],
            f"Bearer {service.tokens[scope]}x",
            f"Bearer {service.tokens[scope].swapcase()}",
            f"Bearer sha256={hashlib.sha256(service.tokens[scope].encode()).hexdigest()}",
        ]
        for header in wrong:
            answer = service.call(method, path, headers={"Authorization": header} if header is not None else {})
            assert answer.status_code == 401, (method, path, header)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for other in SCOPES:
            answer = service.call(method, path, other)
            assert (answer.status_code == 403) == (other not in (scope, *others)), (method, path, other)
            assert service.tokens[other] not in answer.text


def test_only_what_changes_nothing_takes_a_token_as_a_browsers_password(service):
    for method, path, (scope, *_) in operations(service.app):
        password = base64.b64encode(f"me:{service.tokens[scope]}".encode()).decode()
        answer = service.call(method, path, headers={"Authorization": f"Basic {password}"})
        assert (answer.status_code != 401) == (scope in ("docs", "listen")), (method, path)
    for route in service.app.routes:
        if any(isinstance(each.call, NeedsInBrowser) for each in route.dependant.dependencies):
            assert route.methods == {"GET"}


def test_health_needs_no_token(service):
    assert service.call("GET", "/health").json() == {"status": "alive"}


def test_head_is_answered_like_get_on_every_route_and_asks_for_the_same_token(service):
    paths = [(path, scopes[0]) for method, path, scopes in operations(service.app) if method == "GET"]
    for path, scope in [*paths, (HEALTH, None)]:
        got, head = (service.call(method, path, scope) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers.get("content-type") == got.headers.get("content-type")
        assert service.call("HEAD", path).status_code == (401 if scope else 200)
    for path, allowed in (("/health", "GET, HEAD"), ("/voice-messages", "POST"), ("/cleanup", "DELETE")):
        answer = service.call("OPTIONS", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_route_that_does_not_say_who_may_call_it_cannot_be_served(tmp_path):
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    check_routes(app)
    app.get("/listen")(lambda: "everything")
    with pytest.raises(TypeError, match="/listen does not say who may call it"):
        check_routes(app)
    router = APIRouter()
    router.get("/x")(lambda: "everything")

    def included(app: FastAPI) -> None:
        app.include_router(router)

    with pytest.raises(TypeError, match="does not say who may call it"):
        create_app(Settings(MEDIA_ROOT=str(tmp_path)), routes=[included])


def test_a_new_token_opens_what_its_entry_says():
    token, entry = new_token("ivr-gateway", ["cleanup", "monitor", "cleanup"])
    caller = Tokens.parse(f" {entry} ,").caller(token)
    assert caller is not None
    assert (caller.name, caller.scopes) == ("ivr-gateway", {"cleanup", "monitor"})
    assert token not in entry
    assert Tokens.parse(entry).caller(token[:-1]) is None


@pytest.mark.parametrize(
    ("name", "scope", "sentence"),
    [
        ("a b", "docs", "'a b' is no name for a token: use letters"),
        ("a:docs", "docs", "'a:docs' is no name for a token"),
        ("a", "everything", r"The new token \(a\): scopes are voice-messages, cleanup"),
    ],
)
def test_a_new_token_is_refused_for_what_was_typed(name, scope, sentence):
    with pytest.raises(ConfigurationError, match=f"^{sentence}"):
        new_token(name, [scope])


def test_a_plain_token_of_enough_characters_is_taken():
    caller = Tokens.parse(f"a:docs:{TOKEN}").caller(TOKEN)
    assert caller is not None
    assert caller.name == "a"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("secret-token-without-anything", "entry 1, is not name:scope"),
        (f"a:docs:{TOKEN},b:docs", "entry 2, is not name:scope"),
        (f"a b:docs:{TOKEN}", "entry 1, is not name:scope"),
        (f"a:everything:{TOKEN}", "scopes are voice-messages, cleanup"),
        (f"a::{TOKEN}", "scopes are"),
        ("a:docs:short", "32 characters or more"),
        (f"a:docs:{TOKEN} x", "32 characters or more"),
        ("a:docs:sha256=12", "64 hex digits"),
        (f"a:docs:{TOKEN},a:cleanup:{TOKEN}2", "a name twice"),
        (f"a:docs:{TOKEN},b:docs:{TOKEN}", "a token twice"),
    ],
)
def test_a_bad_entry_is_named_by_its_number_and_never_repeated(text, sentence):
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        Tokens.parse(text)
    for secret in ("secret-token", TOKEN, "short", "sha256=12"):
        assert secret not in str(caught.value)
