"""Nobody without permission hears a second: links, tokens, limits, and the log of who listened to what."""

from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.playback.links import Claims, LinkKeys
from media_pipeline.playback.refusals import Refusal
from media_pipeline_tests.harness import variables_for
from media_pipeline_tests.playback.conftest import Call
from media_pipeline_tests.playback.serving import DEAF, LINK_KEY, TOKEN, Answer, Served, served

OTHER_KEY = "another-key-of-thirty-two-chars-"
CLAIMS = Claims(recording_id="r/1", file_index=0, subject="alex", expires=2_000_000_000, scope="listen")


def reason(answer: Answer) -> tuple[int, str]:
    assert answer["Cache-Control"] == "no-store"
    return answer.status, json.loads(answer.body)["reason"]


def token_of(path: str) -> str:
    return parse_qs(urlsplit(path).query)["link"][0]


def encoded(claims: object) -> str:
    data = claims if isinstance(claims, bytes) else json.dumps(claims, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(text: str, key: str = LINK_KEY, domain: bytes = b"media-pipeline playback link 1\0") -> str:
    return f"{text}.{encoded(hmac.digest(key.encode(), domain + text.encode(), 'sha256'))}"


def test_a_link_plays_its_recording_without_a_token(player: Served, archived: Call):
    answer = player.ask(player.link(archived.recording_id), token=None)
    assert answer.body == archived.content
    assert "no-referrer" in (answer["Referrer-Policy"] or "")


@pytest.mark.parametrize(
    ("token", "expected"),
    [(None, (401, "no_credentials")), ("wrong", (401, "unknown_token")), (DEAF, (403, "missing_scope"))],
)
def test_without_a_link_it_takes_a_token_that_may_listen(player: Served, archived: Call, token, expected):
    answer = player.ask(player.path(archived.recording_id), token=token)
    assert reason(answer) == expected
    assert (answer["WWW-Authenticate"] is not None) == (expected[0] == 401)


@pytest.mark.parametrize("header", ["Basic d2FyZDp4", f"Digest {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN} x"])
def test_other_ways_to_name_oneself_are_not_known(player: Served, archived: Call, header):
    answer = player.ask(player.path(archived.recording_id), ("Authorization", header), token=None)
    assert reason(answer) == (401, "unknown_token")


def test_an_expired_link_says_so(player: Served, archived: Call):
    path = player.link(archived.recording_id, seconds=1)
    time.sleep(1.1)
    assert reason(player.ask(path, token=None)) == (403, "link_expired")


def test_a_link_is_for_its_recording_and_its_file_only(player: Served, archived: Call, elsewhere: Call):
    link = token_of(player.link(archived.recording_id))
    other = player.path(elsewhere.recording_id, f"?link={link}")
    assert reason(player.ask(other, token=None)) == (403, "link_for_other")
    second = player.path(archived.recording_id, f"?file=1&link={link}")
    assert reason(player.ask(second, token=None)) == (403, "link_for_other")


def test_a_link_of_somebody_else_is_refused_to_who_names_himself(player: Served, archived: Call):
    answer = player.ask(player.link(archived.recording_id, subject="alex"), token=TOKEN)
    assert reason(answer) == (403, "link_of_other")
    assert player.ask(player.link(archived.recording_id, subject="ward"), token=TOKEN).status == 200


def test_a_link_to_listen_is_none_to_download(player: Served, archived: Call):
    listen = player.link(archived.recording_id) + "&download=1"
    assert reason(player.ask(listen, token=None)) == (403, "no_download")
    answer = player.ask(player.link(archived.recording_id, scope="download"), token=None)
    assert (answer["Content-Disposition"] or "").startswith("attachment; ")


def test_every_changed_character_of_a_link_is_noticed():
    keys = LinkKeys.parse(LINK_KEY)
    token = keys.sign(CLAIMS)
    assert keys.verified(token) == CLAIMS
    for place, character in enumerate(token):
        for other in {"A", "B", "", character + character, ".", "="} - {character}:
            with pytest.raises(Refusal, match="link_forged"):
                keys.verified(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "a.b",
        "é.é",
        "\udcff.\udcff",
        "A" * 100_000,
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "listen", "r": "r/1", "s": "alex"}), OTHER_KEY),
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "listen", "r": "r/1", "s": "alex"}), domain=b""),
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "listen", "r": "r/1"})),
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "everything", "r": "r/1", "s": "alex"})),
        signed(encoded({"e": 2_000_000_000, "f": True, "p": "listen", "r": "r/1", "s": "alex"})),
        signed(encoded({"e": 2e9, "f": 0, "p": "listen", "r": "r/1", "s": "alex"})),
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "listen", "r": "r/1", "s": "alex", "x": 1})),
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "listen", "r": ["r/1"], "s": "alex"})),
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "listen", "r": "r/1", "s": "alex\n"})),
        signed(encoded(b'{"s":"alex","e":2000000000,"f":0,"p":"listen","r":"r/1"}')),
        signed(encoded(b'{ "e":2000000000,"f":0,"p":"listen","r":"r/1","s":"alex"}')),
        signed(encoded(b'{"e":1,"e":2000000000,"f":0,"p":"listen","r":"r/1","s":"alex"}')),
        signed(encoded(b"[" * 5_000)),
        signed(encoded(b"\xff\xfe")),
        signed(encoded({"e": 2_000_000_000, "f": 0, "p": "listen", "r": "r/1", "s": "alex"}) + "=="),
    ],
)
def test_what_is_not_written_as_we_write_it_is_no_link(token):
    with pytest.raises(Refusal, match="link_forged"):
        LinkKeys.parse(LINK_KEY).verified(token)


def test_keys_are_changed_without_a_broken_link():
    before, both, after = (LinkKeys.parse(text) for text in (LINK_KEY, f"{OTHER_KEY}, {LINK_KEY}", OTHER_KEY))
    old, new = before.sign(CLAIMS), both.sign(CLAIMS)
    assert both.verified(old) == both.verified(new) == after.verified(new) == CLAIMS
    for keys, token in ((before, new), (after, old)):
        with pytest.raises(Refusal, match="link_forged"):
            keys.verified(token)


@pytest.mark.parametrize("text", ["", " , ", "short", f"{LINK_KEY},short"])
def test_a_weak_key_is_refused_without_being_repeated(text):
    with pytest.raises(ConfigurationError) as caught:
        LinkKeys.parse(text)
    assert "MEDIA_LINK_KEY" in str(caught.value)
    assert LINK_KEY not in str(caught.value)


@pytest.mark.parametrize("change", [{"subject": ""}, {"subject": "a\nb"}, {"subject": "x" * 200}, {"seconds": 0}])
def test_a_link_nobody_could_be_held_to_is_not_made(player: Served, change):
    with pytest.raises(ValueError, match=r"subject|seconds"):
        player.link("x", **change)


@pytest.mark.parametrize(
    "raw",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%5c..%5cboot.ini",
        "%2fetc%2fpasswd",
        "x%00.wav",
        "%ff%fe",
        "x%0d%0aSet-Cookie:%20a=b",
        "a" * 600,
        "%F0%9F%98%80",
        ".staging/x",
        "audio%2fdate=2026-01-01%2fx.wav.gz",
    ],
)
def test_an_id_is_looked_up_and_never_a_path(player: Served, raw):
    answer = player.ask("/api/stream/" + raw)
    assert answer.status == 404
    assert answer["Set-Cookie"] is None
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "query", ["?file=-1", "?file=x", "?file=1e3", "?file=99999", "?date=today", "?date=2026-02-31", "?download=yes",
              "?file=0&file=1", "?link=a&link=b", "?date=2026-01-01%0d%0aX:y", "?" + "&".join(["a=b"] * 40)],
)  # fmt: skip
def test_a_query_that_is_not_understood_is_refused(player: Served, archived: Call, query):
    assert reason(player.ask(player.path(archived.recording_id, query))) == (422, "bad_request")


def test_a_day_says_where_to_look(player: Served, exported, archived: Call):
    assert player.ask(player.path(archived.recording_id, f"?date={exported.day}")).body == archived.content
    assert player.ask(player.path(archived.recording_id, "?date=2020-01-01"), method="HEAD")["Cache-Control"] != (
        "private, max-age=31536000, immutable"
    )


def test_only_get_and_head_are_known(player: Served, archived: Call):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = player.ask(player.path(archived.recording_id), method=method)
        assert answer.status == 405
        assert set((answer["Allow"] or "").replace(" ", "").split(",")) == {"GET", "HEAD"}


def test_caches_keep_a_recording_for_one_listener_and_a_refusal_never(player: Served, archived: Call):
    answer = player.ask(
        player.path(archived.recording_id), ("X-Forwarded-Host", "evil.example"), ("X-Original-URL", "/evil")
    )
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer["Vary"] == "Authorization"
    assert "evil" not in str(answer.headers)
    for path in (player.path("nobody"), player.path(archived.recording_id, "?link=x")):
        assert player.ask(path, token=None)["Cache-Control"] == "no-store"


def test_a_sitting_of_many_seeks_has_two_lines_in_the_log_with_all_its_bytes(exported, archived: Call, tmp_path):
    with served(exported.settings.model_copy(update={"spool": tmp_path})) as player:
        path = player.link(archived.recording_id, subject="alex")
        for start in range(0, 100_000, 10_000):
            player.ask(path, ("Range", f"bytes={start}-{start + 999}"), token=None)
        player.ask(path, ("Range", "bytes=0-9,20-29"), token=None)
        player.ask(path, method="HEAD", token=None)
        player.ask(path, ("If-None-Match", "*"), token=None)
        player.ask(path, ("Range", "bytes=999999999-"), token=None)
        assert [line["event"] for line in player.lines.found] == ["play_begun"]
    begun, ended = player.lines.found
    assert (begun["subject"], begun["recording_id"], begun["by"]) == ("alex", archived.recording_id, "link")
    assert begun["play_id"] == ended["play_id"]
    assert (ended["event"], ended["bytes"], ended["requests"]) == ("play_ended", 10 * 1000 + 20, 11)
    assert token_of(path) not in str(player.lines.found)
    assert LINK_KEY not in str(player.lines.found)


def test_two_listeners_are_two_sittings(exported, archived: Call, tmp_path):
    with served(exported.settings.model_copy(update={"spool": tmp_path})) as player:
        for subject in ("alex", "robin", "alex"):
            player.ask(player.link(archived.recording_id, subject=subject), token=None)
        player.ask(player.path(archived.recording_id))
    ended = {(line["subject"], line["by"]): line["bytes"] for line in player.lines.of("play_ended")}
    size = len(archived.content)
    assert ended == {("alex", "link"): 2 * size, ("robin", "link"): size, ("ward", "token"): size}


def test_what_cannot_be_written_down_is_not_played(exported, archived: Call, tmp_path):
    (tmp_path / "audit").write_text("in the way")
    with served(exported.settings.model_copy(update={"spool": tmp_path})) as player:
        answer = player.ask(player.path(archived.recording_id))
    assert reason(answer) == (503, "no_audit")
    assert int(answer["Retry-After"] or 0) > 0


def test_too_many_requests_of_one_listener_wait_and_others_do_not(exported, archived: Call, tmp_path):
    settings = exported.settings.model_copy(update={"spool": tmp_path, "listener_requests_per_minute": 5})
    with served(settings) as player:
        path = player.link(archived.recording_id, subject="alex")
        player.ask(player.link(archived.recording_id, subject="first"), token=None)  # the first one waits for the index
        answers = [player.ask(path, ("Range", "bytes=0-9"), token=None) for _ in range(7)]
        assert [answer.status for answer in answers] == [206] * 5 + [429] * 2
        assert 1 <= int(answers[-1]["Retry-After"] or 0) <= 12
        assert reason(answers[-1])[1] == "too_many_requests"
        assert player.ask(player.link(archived.recording_id, subject="robin"), token=None).status == 200


def test_too_many_recordings_at_once_of_one_listener_wait(speaking_org, exported, elsewhere: Call, tmp_path):
    settings = exported.settings.model_copy(update={"spool": tmp_path, "listener_streams": 2})
    with served(settings) as player:
        path = player.link(elsewhere.recording_id)
        player.ask(path, ("Range", "bytes=0-9"), token=None)
        speaking_org.break_with({"fault": "slow_drip", "on": "file", "bytes_per_second": 200_000})
        with ThreadPoolExecutor(3) as listeners:
            answers = list(listeners.map(lambda _: player.ask(path, token=None), range(3)))
        assert sorted(answer.status for answer in answers) == [200, 200, 429]
        assert player.ask(path, ("Range", "bytes=0-9"), token=None).status == 206


def test_the_command_signs_a_link_that_the_service_takes(player: Served, exported, archived: Call, tmp_path):
    variables = variables_for("http://127.0.0.1:1", tmp_path) | {"MEDIA_LINK_KEY": LINK_KEY}
    command = [sys.executable, "-m", "media_pipeline.cli", "link", archived.recording_id, "--subject", "alex"]
    done = subprocess.run(
        [*command, "--expires", "60", "--base", player.url], env=variables, capture_output=True, text=True, check=True
    )
    path = done.stdout.strip().removeprefix(player.url)
    assert player.ask(path, token=None).body == archived.content
    without = subprocess.run(command, env=variables_for("http://127.0.0.1:1", tmp_path), capture_output=True, text=True)
    assert without.returncode == 2
    assert "MEDIA_LINK_KEY" in without.stderr
    assert quote(archived.recording_id, safe="") in path
    for base in ("ftp://x", "http://h/?x=1", "media.example.com"):
        wrong = subprocess.run([*command, "--base", base], env=variables, capture_output=True, text=True)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "is not where a service is reached" in " ".join(wrong.stderr.split())
