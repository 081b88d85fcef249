"""What a listener hears who may not hear what was redacted: silence there, every other byte as it was, at any range."""

from __future__ import annotations

import gzip
import random
import re
import shutil
import wave
from collections.abc import Iterator
from html import escape, unescape
from io import BytesIO
from pathlib import Path

import pytest
from pydantic import SecretStr

from media_pipeline.listening import PAGE, signed_link
from media_pipeline.playback.redacted import joined
from media_pipeline.redaction import Redaction
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import silenced_key
from media_pipeline_tests.harness import DAY, Export
from media_pipeline_tests.playback.cases import CASES, FAILED, SAME, filled, moment
from media_pipeline_tests.playback.conftest import Call, heard_of
from media_pipeline_tests.playback.serving import TOKEN, Answer, Served, served
from media_pipeline_tests.playback.test_access import reason

QUIET = "q" * 32
"""A token with the scope listen-redacted."""


@pytest.fixture(scope="module")
def quiet(exported: Export, drawn: Export) -> Iterator[Served]:
    with served(exported.settings, tokens=SecretStr(f"ward:listen:{TOKEN},trainee:listen-redacted:{QUIET}")) as player:
        yield player


def redacted_calls(exported: Export, suffix: str) -> list[dict]:
    """Stored recordings of this format of which something is redacted, the largest first."""
    found = {row["recording_id"] for row in exported.rows("diarized_transcripts") if row["pii_redacted"]}
    stored = [row for row in exported.rows("recording_audio") if (row["object_key"] or "").endswith(f".{suffix}.gz")]
    return sorted((row for row in stored if row["recording_id"] in found), key=lambda row: -row["source_size_bytes"])


@pytest.fixture(scope="module")
def secret(exported: Export) -> tuple[dict, bytes, bytes]:
    """A WAV of which something is redacted: its row, its bytes, and what may be heard of it, made in another way."""
    row = redacted_calls(exported, "wav")[0]
    original = gzip.decompress(exported.bytes_of(row["object_key"]))
    return row, original, heard_of(exported, Call(row["recording_id"], original))


def ask_page(player: Served, address: str, token: str = QUIET) -> Answer:
    return player.ask(PAGE + address, token=token)


def ask(player: Served, row: dict, *fields: tuple[str, str], token: str = QUIET, **more: str) -> Answer:
    return player.ask(player.path(row["recording_id"]), *fields, token=token, **more)


def test_what_is_redacted_is_silent_and_nothing_else_changes(quiet: Served, secret):
    row, original, heard = secret
    assert original != heard
    answer = ask(quiet, row)
    assert answer.body == heard
    assert ask(quiet, row, token=TOKEN).body == original
    with wave.open(BytesIO(heard)) as file:
        assert file.getnframes() > 0
    link = quiet.link(row["recording_id"], scope="listen-redacted")
    assert quiet.ask(link, token=None).body == heard


def test_it_is_what_the_command_makes_as_a_copy(quiet: Served, exported: Export, secret, tmp_path):
    row, _, heard = secret
    root = tmp_path / "archive"
    shutil.copytree(exported.settings.root, root)
    Redaction(exported.settings.model_copy(update={"root": str(root)})).audio(row["recording_id"], DAY)
    assert gzip.decompress((root / silenced_key(row["object_key"])).read_bytes()) == heard


def test_it_is_another_representation_with_a_tag_of_its_own(quiet: Served, secret):
    row, _, _ = secret
    original, redacted = ask(quiet, row, token=TOKEN), ask(quiet, row)
    assert redacted["ETag"] != original["ETag"] == f'"{row["sha256"]}"'
    assert re.fullmatch(r'"[0-9a-f]{64}"', redacted["ETag"] or "")
    assert ask(quiet, row, method="HEAD")["ETag"] == redacted["ETag"]
    assert (redacted["Cache-Control"], redacted["Vary"]) == ("private, no-cache", "Authorization")
    assert redacted["Last-Modified"] is None
    ranged = ("Range", "bytes=0-9")
    assert ask(quiet, row, ranged, ("If-Range", redacted["ETag"] or "")).status == 206
    assert ask(quiet, row, ranged, ("If-Range", original["ETag"] or "")).status == 200
    assert ask(quiet, row, ("If-None-Match", original["ETag"] or "")).status == 200
    assert ask(quiet, row, ("If-None-Match", redacted["ETag"] or "")).status == 304


def test_any_range_of_it_is_cut_from_the_same_bytes(quiet: Served, secret):
    row, original, heard = secret
    changed = [place for place in range(len(heard)) if heard[place] != original[place]]
    edges = [changed[0], changed[-1], changed[len(changed) // 2], 65280, len(heard) - 1]
    dice = random.Random(8)
    spans = [(max(0, edge + a), max(0, edge + a) + b) for edge in edges for a in (-3, -2, -1, 0, 1) for b in (0, 1, 7)]
    spans += [(start, start + dice.randrange(200_000)) for start in (dice.randrange(len(heard)) for _ in range(60))]
    for start, last in spans:
        if start < len(heard):
            answer = ask(quiet, row, ("Range", f"bytes={start}-{last}"))
            assert answer.status == 206
            assert answer.body == heard[start : last + 1], (start, last)
    several = ask(quiet, row, ("Range", f"bytes=0-9,{changed[0] - 2}-{changed[0] + 5},-5"))
    assert heard[changed[0] - 2 : changed[0] + 6] in several.body
    assert original[changed[0] - 2 : changed[0] + 6] not in several.body


def test_the_cases_of_ranges_hold_for_it_too(quiet: Served, secret):
    row, _, heard = secret
    path = quiet.path(row["recording_id"])
    plain = quiet.ask(path, method="HEAD", token=QUIET)
    dated = moment(quiet.ask(path, method="HEAD")["Last-Modified"] or "")
    count = 0
    for case in CASES:
        text = str(case)
        if "odified" in text or "{L" in text or len(case.spans) > 1:
            continue  # it has no date
        spans = [filled(span, len(heard), plain["ETag"] or "", dated) for span in case.spans]
        if "65279" in text or "100000" in text:
            spans = [span for span in spans if int(span.partition("-")[2]) < len(heard)]
            if len(spans) < len(case.spans):
                continue
        fields = [(name, filled(value, len(heard), plain["ETag"] or "", dated)) for name, value in case.fields]
        answer = quiet.ask(path, *fields, method=case.method, token=QUIET)
        assert answer.status == case.status, text
        if case.method == "GET" and case.status == 206:
            first, _, last = spans[0].partition("-")
            assert answer.body == heard[int(first) : int(last) + 1], text
        elif case.method == "GET" and case.status not in (SAME, FAILED, 416):
            assert answer.body == heard, text
        count += 1
    assert count > 160


def test_what_cannot_be_made_silent_is_refused(quiet: Served, exported: Export, elsewhere: Call):
    compressed = [row for suffix in ("mp3", "ogg") for row in redacted_calls(exported, suffix)]
    assert compressed
    for row in compressed:
        assert reason(ask(quiet, row)) == (403, "not_redactable")
        assert ask(quiet, row, ("Range", "bytes=0-0")).status == ask(quiet, row, method="HEAD").status == 403
        assert ask(quiet, row, token=TOKEN).status == 200
    unknown = quiet.path(elsewhere.recording_id)  # nobody here has ever listed it
    assert reason(quiet.ask(unknown, token=QUIET)) == (404, "not_found")
    words = {row["recording_id"] for row in exported.rows("diarized_transcripts")}
    silent = [row for row in exported.rows("recording_audio") if row["object_key"] and row["recording_id"] not in words]
    for row in silent[:3]:  # nobody wrote down what is said in them
        assert reason(ask(quiet, row)) == (403, "not_redactable")


def test_every_recordings_page_says_what_there_is_to_hear(quiet: Served, exported: Export, elsewhere: Call):
    statuses = set()
    for row in exported.rows("recording_audio"):
        answer = ask_page(quiet, row["recording_id"])
        assert answer.status == 200, row["status"]
        if row["status"] != "stored":
            assert b"<audio" not in answer.body
            statuses.add(row["status"])
    assert len(statuses) > 2
    assert ask_page(quiet, elsewhere.recording_id).status == 404


def test_what_has_nothing_redacted_is_played_as_it_is(quiet: Served, exported: Export):
    transcripts = list(exported.rows("diarized_transcripts"))
    touched = {row["recording_id"] for row in transcripts if row["pii_redacted"]}
    clean = {row["recording_id"] for row in transcripts} - touched
    rows = [row for row in exported.rows("recording_audio") if row["object_key"] and row["recording_id"] in clean]
    for row in rows[:3]:
        answer = ask(quiet, row)
        assert answer.body == gzip.decompress(exported.bytes_of(row["object_key"]))
        assert answer["ETag"] == f'"{row["sha256"]}"'
        assert answer["Cache-Control"] == "private, no-cache", "it may be redacted anew"
        assert "immutable" in (ask(quiet, row, token=TOKEN)["Cache-Control"] or "")
    assert rows


def test_a_day_that_was_not_redacted_is_not_played_to_them(exported: Export, secret, tmp_path):
    import pyarrow.parquet as pq

    row, _, _ = secret
    root = tmp_path / "archive"
    shutil.copytree(exported.settings.root, root)
    table = root / f"tables/diarized_transcripts/date={DAY}/part-0.parquet"
    pq.write_table(pq.read_table(table).replace_schema_metadata(None), table)
    settings = exported.settings.model_copy(update={"root": str(root), "spool": tmp_path / "spool"})
    words = next(each["text"] for each in exported.rows("diarized_transcripts") if len(each["text"]) > 20)
    with served(settings, tokens=SecretStr(f"ward:listen:{TOKEN},trainee:listen-redacted:{QUIET}")) as player:
        assert reason(ask(player, row)) == (403, "not_redactable")
        shown = [ask_page(player, each).body.decode() for each in exported.audio]
        assert not any(escape(words, quote=False) in page for page in shown)
        assert "is not redacted yet" in ask_page(player, row["recording_id"]).body.decode()
        shown = [ask_page(player, each, token=TOKEN).body.decode() for each in exported.audio]
        assert any('class="text"' in page for page in shown)


def test_of_several_files_none_is_made_silent_by_the_times_of_another(exported: Export, secret, tmp_path):
    row, _, _ = secret
    root = tmp_path / "archive"
    shutil.copytree(exported.settings.root, root)
    settings = exported.settings.model_copy(update={"root": str(root), "spool": tmp_path / "spool"})
    tables = Tables(LocalStore(root))
    rows = list(tables.rows("recording_audio", DAY))
    second = next(each for each in rows if each["recording_id"] == row["recording_id"]) | {"file_index": 1}
    rows.insert(rows.index(second | {"file_index": 0}) + 1, second)
    tables.write("recording_audio", DAY, rows)
    tokens = SecretStr(f"ward:listen:{TOKEN},trainee:listen-redacted:{QUIET}")
    with served(settings, tokens=tokens) as player:
        for file in ("?file=0", "?file=1"):
            assert reason(player.ask(player.path(row["recording_id"], file), token=QUIET)) == (403, "not_redactable")
            page = ask_page(player, row["recording_id"] + file, token=TOKEN).body.decode()
            assert "nobody says which of them these times are of" in page
            assert 'data-silent=""' in page
    with pytest.raises(ValueError, match="has several files"):
        Redaction(settings).audio(row["recording_id"], DAY)


def test_they_may_not_have_the_original_by_another_way(quiet: Served, secret):
    row, original, _ = secret
    path = quiet.path(row["recording_id"])
    assert reason(quiet.ask(path + "?download=1", token=QUIET)) == (403, "missing_scope")
    link = quiet.link(row["recording_id"], scope="listen-redacted", subject="trainee")
    assert reason(quiet.ask(link + "&download=1", token=None)) == (403, "no_download")
    assert quiet.ask(link, token=QUIET).body != original
    assert quiet.ask(path + f"?date={DAY}&file=0", token=QUIET).body != original


def test_the_log_says_that_they_heard_it_redacted(exported: Export, secret, tmp_path):
    row, _, heard = secret
    settings = exported.settings.model_copy(update={"spool": tmp_path})
    with served(settings, tokens=SecretStr(f"ward:listen:{TOKEN},trainee:listen-redacted:{QUIET}")) as player:
        ask(player, row)
        ask(player, row, token=TOKEN)
    ended = {line["subject"]: (line["source"], line["bytes"]) for line in player.lines.of("play_ended")}
    assert ended == {"trainee": ("archive_redacted", len(heard)), "ward": ("archive", len(heard))}


@pytest.mark.parametrize("token", [TOKEN, QUIET])
def test_the_page_itself_is_silent_where_the_transcript_is_redacted(quiet: Served, secret, token):
    row, _, heard = secret
    page = quiet.ask(PAGE + row["recording_id"], token=token).body.decode()
    (source,) = re.findall(r'<audio [^>]*src="([^"]+)"', page)
    assert quiet.ask(unescape(source), token=None).body == heard
    link = signed_link(quiet.settings, row["recording_id"], subject="alex", seconds=60, page=True)
    (source,) = re.findall(r'<audio [^>]*src="([^"]+)"', quiet.ask(link, token=None).body.decode())
    assert quiet.ask(unescape(source), token=None).body == heard


def test_the_page_says_when_what_is_redacted_cannot_be_made_silent(quiet: Served, exported: Export):
    row = (redacted_calls(exported, "mp3") or redacted_calls(exported, "ogg"))[0]
    page = quiet.ask(PAGE + row["recording_id"], token=QUIET).body.decode()
    assert "<audio" not in page
    assert "cannot be made silent" in page
    page = quiet.ask(PAGE + row["recording_id"], token=TOKEN).body.decode()  # muted by the script
    assert "data-silent" in page
    for path in ("/", f"/days/{DAY}"):
        answer = quiet.ask(path, token=QUIET)
        assert (answer.status, b'href="/reports' in answer.body) == (200, False)
        assert b'href="/reports' in quiet.ask(path, token=TOKEN).body


def test_a_transcript_that_is_redacted_anew_is_heard_within_seconds(exported: Export, secret, tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from media_pipeline.playback import redacted

    monkeypatch.setattr(redacted, "LOOK_SECONDS", 0.0)
    row, original, heard = secret
    root = tmp_path / "archive"
    shutil.copytree(exported.settings.root, root)
    path: Path = root / f"tables/diarized_transcripts/date={DAY}/part-0.parquet"
    settings = exported.settings.model_copy(update={"root": str(root), "spool": tmp_path / "spool"})
    with served(settings, tokens=SecretStr(f"trainee:listen-redacted:{QUIET}")) as player:
        before = ask(player, row)
        assert before.body == heard
        table = pq.read_table(path)
        mine = pc.equal(table["recording_id"], row["recording_id"])
        counts = pc.if_else(mine, pa.scalar(1, table["pii_redacted"].type), table["pii_redacted"])
        column = table.schema.get_field_index("pii_redacted")
        pq.write_table(table.set_column(column, table.schema.field(column), counts), path)
        after = ask(player, row)
    assert after["ETag"] != before["ETag"]
    assert sum(a != b for a, b in zip(after.body, original, strict=True)) > sum(
        a != b for a, b in zip(heard, original, strict=True)
    )


def test_a_transcript_is_read_once_however_often_a_player_seeks(exported: Export, secret, tmp_path, monkeypatch):
    row, _, heard = secret
    real, read = Tables.rows_about, []

    def noted(tables: Tables, name: str, *rest: object, **more: object) -> object:
        read.append(name)
        return real(tables, name, *rest, **more)

    monkeypatch.setattr(Tables, "rows_about", noted)
    settings = exported.settings.model_copy(update={"spool": tmp_path})
    with served(settings, tokens=SecretStr(f"trainee:listen-redacted:{QUIET}")) as player:
        for start in range(0, 20_000, 1_000):
            assert ask(player, row, ("Range", f"bytes={start}-{start + 9}")).body == heard[start : start + 10]
    assert sorted(read) == ["diarized_transcripts", "recording_audio"]


def test_spans_that_nearly_touch_are_one():
    spans = [(800, 900), (0, 100), (350, 400), (850, 1000), (1251, 1300)]
    assert joined(spans) == [(0, 400), (800, 1000), (1251, 1300)]
