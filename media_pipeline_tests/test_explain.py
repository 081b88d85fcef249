"""explain: one recording's whole story from what lies in MEDIA_ROOT and MEDIA_SPOOL, and from nowhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from media_pipeline.archive import Archive
from media_pipeline.audit.log import spool_folder
from media_pipeline.printing import printable, show_story
from media_pipeline.storage.base import root_name
from media_pipeline.tables.paths import object_key, safe_name
from media_pipeline.transfer.outcome import REASONS
from media_pipeline.transfer.spool import Identity, Spool
from media_pipeline_tests.harness import DAY, settings_for

PROGRAM = str(Path(sys.executable).with_name("media-pipeline"))
BEFORE = DAY.fromordinal(DAY.toordinal() - 1)


def told(done, recording_id, day=None):
    """The one day that knows a recording."""
    (one,) = Archive(done.settings).story(recording_id, day).days
    return one


def text_of(done, recording_id, day=None, width=80):
    import io

    from rich.console import Console

    out = Console(file=io.StringIO(), width=width)
    show_story(out, Archive(done.settings).story(recording_id, day))
    return out.file.getvalue()


def in_words(done, recording_id):
    return " ".join(text_of(done, recording_id).split())


def of_kind(org, kind):
    return next(i for i, record in org.truth().items() if record["kind"] == kind)


def explain(*arguments, folder):
    """The program with nothing but MEDIA_ROOT and MEDIA_SPOOL: no credentials, no dialect."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "80"}
    environment |= {"MEDIA_ROOT": str(folder / "media"), "MEDIA_SPOOL": str(folder / "spool")}
    return subprocess.run(
        [PROGRAM, "explain", *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_the_outcomes_of_one_day_are_each_told(org, export, tmp_path):
    failed, quarantined, reset, stored = org.ordinary(4)
    org.break_with(
        {"fault": "server_error", "on": "file", "ids": [failed]},
        {"fault": "wrong_md5", "ids": [quarantined]},
        {"fault": "reset", "ids": [reset], "after_bytes": 40, "times": 1},
    )
    done = export(org)
    org.forget_stats()
    truth = org.truth()

    story = told(done, stored)
    (file,) = story.files
    row = done.audio[stored]
    assert (story.day, file.outcome["status"], file.object_bytes) == (DAY, "stored", row["stored_size_bytes"])
    assert {name: file.outcome[name] for name in ("sha256", "md5", "object_key", "integrity_basis")} == {
        name: row[name] for name in ("sha256", "md5", "object_key", "integrity_basis")
    }
    assert file.listed["duration_seconds"] == truth[stored]["duration_seconds"]
    (attempt,) = [a for a in story.attempts if a.event == "recording_settled"]
    assert (attempt.run_id, attempt.attempts, attempt.status) == (done.result.run_id, 1, "stored")
    assert attempt.bytes_fetched == truth[stored]["size"]
    assert story.transcript["segments"] == truth[stored]["transcript_segments"]
    assert (story.run_at_work, file.partial_bytes, file.settled_since) == (None, None, None)

    assert next(a.attempts for a in told(done, reset).attempts if a.event == "recording_settled") == 2
    (file,) = told(done, failed).files
    (attempt,) = [a for a in told(done, failed).attempts if a.event == "recording_settled"]
    assert (attempt.status, attempt.reason, attempt.attempts) == ("failed", "server_error", 6)
    for recording_id, reason in {
        failed: "server_error",
        quarantined: "md5_mismatch",
        of_kind(org, "processing"): "not_ready",
        of_kind(org, "opus"): "codec",
        of_kind(org, "no_file"): "no_file",
        of_kind(org, "empty"): "zero_bytes",
    }.items():
        words = in_words(done, recording_id)
        assert f"now {REASONS[reason][0]} ({reason})" in words
        assert f"next {REASONS[reason][1]}" in words
        assert "Traceback" not in words
    assert org.stats()["requests"] == {}, "nobody was asked"

    person = explain(stored, folder=tmp_path)
    assert (person.returncode, person.stderr) == (0, "")
    assert all(len(line) <= 80 for line in person.stdout.splitlines())
    for fact in (row["sha256"], f"run {done.result.run_id[:8]}: stored; 1 request", "next"):
        assert fact in person.stdout
    machine = explain(stored, "--date", str(DAY), "--json", folder=tmp_path)
    (day,) = json.loads(machine.stdout)["days"]
    assert day["files"][0]["outcome"]["sha256"] == row["sha256"]
    for output in (person.stdout, machine.stdout):
        assert "http" not in output
        assert truth[stored]["file_name"] not in output

    empty = explain("", folder=tmp_path)
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "The recording's id is empty" in empty.stderr
    unknown = explain("no-such-recording", folder=tmp_path)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    words = " ".join(unknown.stderr.split())
    assert (
        f"No table knows this id: searched recording_inventory, recording_audio, recent_listings of 1 day(s), {DAY}"
        in words
    )


def test_three_runs_are_told_in_order_and_an_object_that_is_gone_is_noticed(org, export, tmp_path):
    (one,) = org.ordinary(1)
    org.break_with({"fault": "server_error", "on": "file", "ids": [one]})
    runs = [export(org)]
    org.break_with({"fault": "short_body", "ids": [one], "keep": 0.0})
    runs.append(export(org))
    org.break_with()
    runs.append(export(org))
    done = runs[-1]
    settled = [a for a in told(done, one).attempts if a.event == "recording_settled"]
    assert [a.run_id for a in settled] == [run.result.run_id for run in runs]
    assert [a.reason for a in settled] == ["server_error", "short_body", None]
    assert [a.timestamp for a in settled] == sorted(a.timestamp for a in settled)
    text = text_of(done, one)
    positions = [text.index(f"run {run.result.run_id[:8]}") for run in runs]
    assert positions == sorted(positions)

    Path(done.settings.root, f"audit/date={DAY}/{safe_name(runs[1].result.run_id)}.jsonl").unlink()
    second = [a for a in told(done, one).attempts if a.run_id == runs[1].result.run_id]
    assert [(a.event, a.attempts) for a in second] == [("only_costs", settled[1].attempts)]

    path = Path(done.settings.root, done.audio[one]["object_key"])
    path.write_bytes(path.read_bytes()[:-1])
    assert "its object has OTHER" in in_words(done, one)
    path.unlink()
    assert "its object is NOT there" in in_words(done, one)
    assert "fetch it again with `media-pipeline export --recording" in in_words(done, one)


def test_what_is_under_way_is_told(org, export, tmp_path):
    one, other = org.ordinary(2)
    org.break_with({"fault": "server_error", "on": "file", "ids": [one, other]})
    done = export(org)
    (inventory,) = done.tables.rows_about("recording_inventory", DAY, one)
    key = object_key(DAY, one, 0, False, inventory["format"])
    partial = Spool(done.settings.spool, done.tables.store.url).partial(key)
    partial.identify(Identity(100, None, '"tag"', 100, None))
    partial.write([b"x" * 12_345])
    partial.close()
    folder = done.settings.spool / "ledger" / root_name(done.tables.store.url) / f"date={DAY}"
    folder.mkdir(parents=True)
    (folder / "killed.1.jsonl").write_text(json.dumps(done.audio[other] | {"reason": "short_body"}) + "\n")
    logs = spool_folder(done.settings.spool, done.tables.store.url) / f"date={DAY}"
    logs.mkdir(parents=True, exist_ok=True)
    event = {"timestamp": "2026-01-01T00:00:00.000Z", "event": "recording_settled", "run_id": "killed"}
    event |= {"recording_id": other, "file_index": 0, "status": "failed", "reason": "short_body"}
    (logs / "killed.jsonl").write_text(json.dumps(event) + '\n{"torn')
    assert "a partial download in MEDIA_SPOOL: 12,345 B, compressed" in in_words(done, one)
    words = in_words(done, other)
    assert "failed (short_body), settled by a run that has not written its table yet" in words
    assert "run killed: failed (short_body)" in words
    assert "run the day again" in words
    done.tables.store.put(f"leases/date={DAY}.json", json.dumps({"run_id": "r1", "host": "elsewhere"}).encode())
    assert "the run r1 holds this day" in in_words(done, one)


def test_all_days_are_searched_newest_first_and_one_that_is_only_listed_lately_is_known(org, export):
    export(org, day=BEFORE)
    done = export(org)
    (older,) = org.ordinary(1, BEFORE)
    story = Archive(done.settings).story(older)
    assert story.searched == [DAY, BEFORE]
    assert [day.day for day in story.days] == [BEFORE]
    late = {"recording_id": "late", "file_index": 0, "file_state": "available"}
    done.tables.write("recent_listings", DAY, [late])
    assert f"no run has settled it yet: `media-pipeline export --date {DAY}`" in in_words(done, "late")


HOSTILE = [
    "../../etc/passwd",
    "..",
    "a/b",
    'it\'s a "quoted" id',
    "two\nlines",
    "x" * 300,
    "ü录音",
    "\x1b[31m",
    "[red]",
    "",
]


def test_hostile_ids_are_found_escaped_and_lead_nowhere(org, export):
    org.break_with({"fault": "hostile_ids"})
    done = export(org)
    ids = [row["recording_id"] for row in done.rows("recording_audio")]
    strange = [i for i in ids if not i.replace("-", "").isalnum() or len(i) > 100]
    assert len(strange) > 4
    for recording_id in strange:
        text = text_of(done, recording_id)
        assert printable(recording_id)[:40] in text
        assert all(line.isprintable() for line in text.splitlines())
        assert "now" in text


@pytest.mark.parametrize("recording_id", [*filter(None, HOSTILE), "\udcff"])
def test_hostile_ids_that_nobody_knows_get_one_sentence(monkeypatch, tmp_path, recording_id):
    from typer.testing import CliRunner

    from media_pipeline.cli import app

    settings = settings_for("", tmp_path)
    Archive(settings)._store.put(f"tables/recording_audio/date={DAY}/other.txt", b"")
    for name, value in {"MEDIA_ROOT": settings.root, "MEDIA_SPOOL": str(settings.spool), "COLUMNS": "300"}.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["explain", "--", recording_id])
    assert done.exit_code == 1
    assert "No table knows this id" in done.stderr
    assert done.stdout == ""
    assert CliRunner().invoke(app, ["explain", "--date", str(BEFORE), "--", recording_id]).exit_code == 1
    assert CliRunner().invoke(app, ["explain", "--date", "tomorrow", "--", recording_id]).exit_code == 2


def test_links_in_a_sentence_are_never_shown(org, export):
    done = export(org)
    (one,) = org.ordinary(1)
    rows = done.rows("recording_audio")
    for row in rows:
        if row["recording_id"] == one:
            row |= {
                "status": "failed",
                "reason": "bad_url",
                "detail": "See https://host/x?sig=secret now.",
                "object_key": None,
            }
    done.tables.write("recording_audio", DAY, rows)
    words = in_words(done, one)
    assert "See [link] now." in words
    assert "secret" not in words
