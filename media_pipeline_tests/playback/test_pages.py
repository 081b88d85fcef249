"""The pages over HTTP: who may see them, what stands in them, and that nothing from outside becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from html import unescape
from urllib.parse import quote

import pytest

from media_pipeline.listening import PAGE, signed_link
from media_pipeline.service.rendering import POLICY
from media_pipeline_tests.harness import DAY, Export
from media_pipeline_tests.playback.conftest import Call, heard_of
from media_pipeline_tests.playback.serving import DEAF, LINK_KEY, TOKEN, Answer, Served, served

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}</li>"


def text_of(answer: Answer) -> str:
    return answer.body.decode()


def visible(answer: Answer) -> str:
    """What a person reads."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text_of(answer))).split())


def page_link(player: Served, recording_id: str, **options: object) -> str:
    values = {"subject": "alex", "seconds": 300, "page": True} | options
    return signed_link(player.settings, recording_id, **values)  # type: ignore[arg-type]


def page_of(recording_id: str, query: str = "") -> str:
    return PAGE + quote(recording_id, safe="") + query


@pytest.fixture
def pages(player: Served, drawn: Export) -> Served:
    return player


def test_every_page_has_the_policy_and_is_not_kept(pages: Served, archived: Call):
    for path in ("/", f"/days/{DAY}", page_of(archived.recording_id), "/days/never", page_of("nobody")):
        for token in (TOKEN, None):
            answer = pages.ask(path, token=token)
            assert (answer["Content-Type"] or "").startswith("text/html")
            assert answer["Content-Security-Policy"] == POLICY
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer["Cache-Control"] == "no-store"
            assert answer["Referrer-Policy"] == "no-referrer"
            assert "style=" not in text_of(answer)
            for tag in ("script", "style"):
                assert set(_hashes(tag, text_of(answer))) <= set(re.findall(rf"{tag}-src '([^']+)'", POLICY))
            assert re.findall(r"<(?:script|style)[^>]+>", text_of(answer)) == []
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'; script-src 'sha256-")


def _hashes(tag: str, page: str) -> list[str]:
    texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return [f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}" for text in texts]


def test_a_page_loads_nothing_but_its_recording(pages: Served, archived: Call):
    body = text_of(pages.ask(page_of(archived.recording_id)))
    assert len(_hashes("script", body)) == len(_hashes("style", body)) == 1
    loaded = set(re.findall(r'(?:src|href)="([^"#?]+)', body)) - {"/", f"/days/{DAY}"}
    assert {each for each in loaded if not each.startswith("data:image/svg+xml;")} == {
        pages.path(archived.recording_id)
    }
    assert "//" not in re.sub(r'data:image/svg[^"]+|// [^\n]*|http://www.w3.org/2000/svg', "", body)


@pytest.mark.parametrize("path", ["/assets/player.js", "/assets/..%2faccess.py", "/static/pages.css", "/favicon.ico"])
def test_no_file_is_served(pages: Served, path):
    assert pages.ask(path, token=None).status == 404


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("wrong", 401), (DEAF, 403)])
def test_a_page_needs_a_token_that_may_listen(pages: Served, archived: Call, token, status):
    for path in ("/", f"/days/{DAY}", page_of(archived.recording_id)):
        answer = pages.ask(path, token=token)
        assert answer.status == status
        assert archived.recording_id not in text_of(answer)
        assert ("Basic" in str(answer.headers.get_all("WWW-Authenticate"))) == (status == 401)


def test_a_browsers_login_shows_the_page_and_plays_what_is_on_it(pages: Served, drawn: Export, archived: Call):
    basic = ("Authorization", "Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode())
    answer = pages.ask(page_of(archived.recording_id), basic, token=None)
    (source,) = re.findall(r'<audio [^>]*src="([^"]+)"', text_of(answer))
    for headers in ([basic], []):  # browsers send the login along, or not
        assert pages.ask(unescape(source), *headers, token=None).body == heard_of(drawn, archived)
    begun = {(line["subject"], line["recording_id"]) for line in pages.lines.of("play_begun")}
    assert ("ward", archived.recording_id) in begun


def test_a_link_opens_its_page_and_plays_on_it_and_opens_no_other(
    pages: Served, drawn: Export, archived: Call, elsewhere: Call
):
    link = page_link(pages, archived.recording_id)
    answer = pages.ask(link, token=None)
    assert answer.status == 200
    (source,) = re.findall(r'<audio [^>]*src="([^"]+)"', text_of(answer))
    assert pages.ask(unescape(source), token=None).body == heard_of(drawn, archived)
    assert 'href="/days/' not in text_of(answer)  # leads where it may not go
    token = link.partition("?")[2]
    for path in (f"/?{token}", f"/days/{DAY}?{token}"):
        assert pages.ask(path, token=None).status == 401
    other = pages.ask(page_of(elsewhere.recording_id, f"?{token}"), token=None)
    assert (other.status, "The link is for another recording" in visible(other)) == (403, True)
    assert "link was made for somebody else" in visible(pages.ask(link))  # with a token of another name


def test_a_link_that_expired_or_was_changed_says_so_in_a_page(pages: Served, archived: Call):
    link = page_link(pages, archived.recording_id, seconds=1)
    forged = pages.ask(link[:-2] + ("AA" if link[-2:] != "AA" else "BB"), token=None)
    assert (forged.status, "not one we signed" in visible(forged)) == (403, True)
    time.sleep(1.1)
    answer = pages.ask(link, token=None)
    assert answer.status == 403
    assert "This link has expired" in visible(answer)
    assert "<audio" not in text_of(answer)


@pytest.mark.parametrize("scope", ["listen", "download"])
def test_the_original_is_offered_where_the_link_allows(pages: Served, archived: Call, scope):
    answer = pages.ask(page_link(pages, archived.recording_id, scope=scope), token=None)
    offered = re.findall(r'href="(/api/stream/[^"]+)"', text_of(answer))
    assert bool(offered) == (scope == "download")
    for each in offered:
        kept = pages.ask(unescape(each), token=None)
        assert kept.body == archived.content
        assert (kept["Content-Disposition"] or "").startswith("attachment")


def test_a_token_is_offered_the_original_with_the_scope_download_only(exported: Export, drawn: Export, archived: Call):
    from pydantic import SecretStr

    keeper = "k" * 32
    with served(exported.settings, tokens=SecretStr(f"a:listen:{TOKEN},b:listen+download:{keeper}")) as player:
        for token, offered in ((TOKEN, False), (keeper, True)):
            page = text_of(player.ask(page_of(archived.recording_id), token=token))
            assert ("Download original" in page) == offered


def test_the_pages_play_without_a_key_for_links(exported: Export, drawn: Export, archived: Call):
    from pydantic import SecretStr

    with served(exported.settings, link_key=SecretStr("")) as player:
        body = text_of(player.ask(page_of(archived.recording_id)))
        (source,) = re.findall(r'<audio [^>]*src="([^"]+)"', body)
        assert player.ask(unescape(source), token=None).body == heard_of(drawn, archived)
        other = signed_link(
            player.settings.model_copy(update={"link_key": SecretStr(LINK_KEY)}), "x", subject="a", seconds=9
        )
        assert player.ask(other, token=None).status == 403


def test_the_transcript_is_on_the_page_with_names_times_and_what_is_silent(pages: Served, drawn: Export):
    rows = drawn.rows("diarized_transcripts")
    wavs = {each for each, row in drawn.audio.items() if (row["object_key"] or "").endswith(".wav.gz")}
    redacted = next(row for row in rows if row["pii_redacted"] and row["recording_id"] in wavs)
    mine = [row for row in rows if row["recording_id"] == redacted["recording_id"]]
    answer = pages.ask(page_of(redacted["recording_id"]))
    body = text_of(answer)
    assert re.findall(r'data-start="(\d+)" data-end="(\d+)"', body) == [
        (str(row["start_ms"]), str(row["end_ms"])) for row in mine
    ]
    (silent,) = re.findall(r'data-silent="([^"]*)"', body)
    spans = [tuple(map(int, each.split("-"))) for each in silent.split()]
    for row in mine:
        inside = any(start <= row["start_ms"] and row["end_ms"] <= end for start, end in spans)
        assert inside == bool(row["pii_redacted"])
    for name in ("Agent", "Customer"):
        assert name in visible(answer)
    assert body.count('class="over" d="M') == 2  # a waveform for each channel
    assert "No waveform yet" not in body


def test_a_day_can_be_searched_without_scripts(pages: Served, drawn: Export):
    rows = drawn.rows("recording_audio")
    answer = pages.ask(f"/days/{DAY}")
    stored = {row["recording_id"] for row in rows if row["status"] == "stored"}
    assert f"{len(stored)} stored" in visible(answer)
    assert f"{len(rows)} recordings" in visible(answer)
    spoken = (row for row in drawn.rows("diarized_transcripts") if row["recording_id"] in stored)
    said = next(row for row in spoken if len(row["text"].split()) > 4)
    words = " ".join(re.findall(r"\w+", said["text"])[:2])
    found = text_of(pages.ask(f"/days/{DAY}?q={quote(words)}&outcome=stored&min=0&max=60"))
    assert f'href="{page_of(said["recording_id"])}"' in found
    assert f"{page_of(said['recording_id'])}#t=" in found
    assert "<mark>" in found
    nothing = pages.ask(f"/days/{DAY}?q=xyzzy")
    assert (nothing.status, "No call is like that" in visible(nothing)) == (200, True)
    for odd in ("?page=-1", "?page=1e9", "?min=nan", "?max=inf", "?min=x", "?q=%00%ff%22", "?outcome='", "?file=x"):
        assert pages.ask(f"/days/{DAY}{odd}").status == 200
    for odd in ("?page=0.5", "?page=1.5", "?page=0", "?page=x"):
        assert pages.ask(f"/{odd}").status == 200


def test_the_days_are_listed_and_a_day_that_is_not_there_says_so(pages: Served):
    assert f'href="/days/{DAY}"' in text_of(pages.ask("/"))
    chosen = pages.ask(f"/?date={DAY}")
    assert (chosen.status, chosen["Location"]) == (303, f"/days/{DAY}")
    for day in ("2001-01-01", "20261120", "2026-13-01", "x", "%0d%0aSet-Cookie:x=1"):
        answer = pages.ask(f"/days/{day}")
        assert answer.status == 404
        assert answer["Set-Cookie"] is None
        assert pages.ask(f"/?date={day}").status in (303, 404)


def test_nothing_from_outside_becomes_markup(tmp_path_factory: pytest.TempPathFactory, exported: Export):
    """Text, names and ids of a hostile source, on every page; and what is typed into a search."""
    from media_pipeline.tables.partition import Tables
    from media_pipeline_tests.playback.test_search import listed, outcome, segment

    folder = tmp_path_factory.mktemp("hostile")
    settings = exported.settings.model_copy(update={"root": str(folder / "root"), "spool": folder / "spool"})
    from media_pipeline.storage.local import LocalStore

    tables = Tables(LocalStore(folder / "root"))
    known = dict.fromkeys(("conversation_id", "media_type", "format", "file_name"), HOSTILE)
    people = {"agent_ids": [HOSTILE], "queue_ids": [HOSTILE]}
    tables.write("recording_inventory", DAY, [listed(HOSTILE, 0) | known | people])
    said = segment(HOSTILE, 0, HOSTILE) | {"speaker": HOSTILE, "participant_purpose": HOSTILE, "channel": 0}
    tables.write("diarized_transcripts", DAY, [said])
    told = {"reason": HOSTILE, "file_name": HOSTILE, "conversation_id": HOSTILE}
    tables.write("recording_audio", DAY, [outcome(HOSTILE, "failed") | told])
    with served(settings) as player:
        paths = ["/", f"/days/{DAY}", f"/days/{DAY}?q={quote(HOSTILE)}&agent={quote(HOSTILE)}&page=2"]
        paths += [page_of(HOSTILE), page_of(HOSTILE, f"?date={DAY}&file=0"), f"/days/{quote(HOSTILE, safe='')}"]
        for path in paths:
            body = text_of(player.ask(path))
            assert "<img src=x" not in body, path
            assert "<script>alert" not in body
            assert "49" not in re.findall(r"&gt;(\d+)&lt;", body)
        for path in paths[1:2] + paths[3:4]:
            assert "&lt;script&gt;alert(1)" in text_of(player.ask(path)), path
