"""`media-pipeline verify`: what was found is told in words and by the exit code."""

import json

import pytest

from media_pipeline.tables.partition import Tables
from media_pipeline_tests.harness import DAY
from media_pipeline_tests.verify.conftest import flip, path_of, run, settings_store, stored


def test_the_commands_exit_code_and_words_fit_what_was_found(done, tmp_path):
    def verify(*arguments):
        return run("verify", *arguments, root=done.settings.root, folder=tmp_path)

    good = verify("--date", str(DAY))
    assert (good.returncode, good.stderr.count("Traceback")) == (0, 0)
    assert "all as the tables say" in good.stdout
    assert str(DAY) in good.stderr, "the bar"
    (tmp_path / f"media/audio/date={DAY}/evil\x1b[31m\u202e.txt").write_text("")
    warned = verify("--all")
    assert warned.returncode == 0
    assert "1 orphan. No media is lost or changed." in " ".join(warned.stdout.split())
    assert "\x1b[31m" not in warned.stdout
    assert r"\x1b[31m\u202e.txt" in warned.stdout
    for row in stored(done)[:25]:
        flip(path_of(done, row["object_key"]))
    bad = verify("--from", str(DAY), "--to", str(DAY))
    assert bad.returncode == 1
    assert bad.stdout.count("unreadable ") == 20
    assert "... and 6 more" in bad.stdout
    facts = json.loads(verify("--all", "--json", "--sample", "9", "--seed", "3").stdout)
    assert (facts["ok"], facts["seed"], facts["objects"]) == (False, 3, 9)
    assert {finding["kind"] for finding in facts["findings"]} == {"orphan", "unreadable"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Say what to verify in one way"),
        (("--all", "--date", "2026-11-01"), "Say what to verify in one way"),
        (("--from", "2026-11-01"), "Say what to verify in one way"),
        (("--all", "--seed", "1"), "give both"),
        (("--date", "[/red]yesterday"), "'[/red]yesterday' is not a day"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "ends (2026-11-01) before it begins"),
        (("--date", "2026-11-01"), "was never exported"),
        (("--all", "--sample", "0"), "Invalid value for '--sample'"),
    ],
)
def test_what_cannot_be_verified_gets_a_sentence_and_exit_code_2(monkeypatch, tmp_path, arguments, sentence):
    told = invoked(monkeypatch, tmp_path, "verify", *arguments)
    assert told.exit_code == 2
    assert sentence in " ".join(told.stderr.split())


def test_a_root_that_is_none_is_told(monkeypatch, tmp_path):
    told = invoked(monkeypatch, tmp_path, "verify", "--all", root="ftp://x")
    assert told.exit_code == 2
    assert "neither a path nor s3://bucket/prefix" in " ".join(told.stderr.split())
    told = invoked(monkeypatch, tmp_path, "verify", "--all", root=str(tmp_path / "empty"))
    assert (told.exit_code, "nothing to verify" in " ".join(told.stderr.split())) == (2, True)


def invoked(monkeypatch, tmp_path, *arguments, root=None):
    """The command in this process, over a root where one day was exported."""
    from typer.testing import CliRunner

    from media_pipeline.cli import app

    if root is None:
        root = str(tmp_path / "media")
        Tables(settings_store(root, tmp_path)).write("recording_audio", DAY, [])
    monkeypatch.setenv("MEDIA_ROOT", root)
    monkeypatch.setenv("MEDIA_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner().invoke(app, arguments)
