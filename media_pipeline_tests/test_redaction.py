"""Days without personal data: new ones, those of earlier versions, copies that are kept, silenced recordings."""

import datetime as dt
import gzip
import json
import re
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from media_pipeline.build import build_definitions
from media_pipeline.checks.transcripts_redacted import TRANSCRIPTS_REDACTED
from media_pipeline.privacy import detect
from media_pipeline.privacy.segments import COUNT_COLUMNS
from media_pipeline.redaction import Redaction
from media_pipeline.storage.lease import Lease
from media_pipeline.tables.paths import lease_key
from media_pipeline.tables.redaction import is_redacted
from media_pipeline_tests.harness import DAY, NO_RETRY, resources_for
from media_pipeline_tests.test_cli import run

TABLE = f"diarized_transcripts/date={DAY}/part-0.parquet"
NUMBERS = re.compile(r"4111 1111|5500 0000|3782 822463|202-555-0147|415-555-0132|\+1 212 555 0199")
"""What the sandbox's callers say."""
PLACEHOLDER = re.compile(r"\[(?:PHONE_NUMBER|CREDIT_CARD|EMAIL_ADDRESS|US_SSN)\]")


@pytest.fixture
def kept(speaking_org, export):
    """A day of calls that were also kept as they were."""
    return export(speaking_org, keep_unredacted=True)


@pytest.fixture
def raw(kept):
    """The same day as an earlier version wrote it: raw table and sidecars, no counts by type, no note."""
    root = Path(kept.settings.root)
    table = pq.read_table(root / "unredacted" / TABLE).drop_columns([n for n in COUNT_COLUMNS if n != "pii_redacted"])
    pq.write_table(table.replace_schema_metadata(None), root / "tables" / TABLE, compression="zstd")
    said = {}
    for row in table.to_pylist():
        said.setdefault(row["recording_id"], []).append(row["text"])
    for path in sidecars(root):
        facts = json.loads(path.read_text())
        for segment, text in zip(facts["segments"] or [], said.get(facts["recording_id"], []), strict=True):
            segment["text"] = text
            del segment["pii_redacted"]
        path.write_text(json.dumps(facts))
    (root / "unredacted" / TABLE).unlink()
    assert NUMBERS.search(everything(root))
    return kept


def sidecars(root: Path) -> list[Path]:
    return sorted((root / f"audio/date={DAY}").glob("*.json"))


def everything(root: Path) -> str:
    """All that is in sidecars, transcripts, reports and audit logs."""
    files = [path.read_text() for path in root.rglob("*") if path.suffix in (".json", ".jsonl")]
    return "\n".join([*files, str(pq.read_table(root / "tables" / TABLE).to_pylist())])


def check_of(done):
    (check,) = [c for c in done.result.get_asset_check_evaluations() if c.check_name == TRANSCRIPTS_REDACTED]
    return check


def test_a_new_day_holds_placeholders_and_counts_and_nowhere_a_number(speaking_org, export):
    done = export(speaking_org)
    rows = done.rows("diarized_transcripts")
    assert not NUMBERS.search(done.all_text)
    assert sum(row["pii_phone_number"] for row in rows) > 5
    assert sum(row["pii_credit_card"] for row in rows) > 0
    for row in rows:
        assert row["pii_redacted"] == len(PLACEHOLDER.findall(row["text"]))
        assert row["pii_redacted"] == sum(row[name] for name in COUNT_COLUMNS if name != "pii_redacted")
        assert detect(row["text"]) == []
    assert check_of(done).passed
    assert not (Path(done.settings.root) / "unredacted").exists()


def test_raw_text_is_kept_apart_when_asked_for_and_only_there(kept):
    root = Path(kept.settings.root)
    raw = pq.read_table(root / "unredacted" / TABLE).to_pylist()
    assert NUMBERS.search(str(raw))
    assert not NUMBERS.search(kept.all_text)
    assert [row["segment_index"] for row in raw] == [row["segment_index"] for row in kept.rows("diarized_transcripts")]


def test_a_rerun_keeps_the_raw_text_it_has(kept, speaking_org, export):
    path = Path(kept.settings.root) / "unredacted" / TABLE
    before = path.read_bytes()
    export(speaking_org, keep_unredacted=True)
    assert path.read_bytes() == before


def test_a_copy_without_the_setting_is_yellow_and_removed_only_when_asked(kept, speaking_org, export, tmp_path):
    again = check_of(export(speaking_org))
    assert not again.passed
    assert "unredacted/" in again.description
    path = Path(kept.settings.root) / "unredacted" / TABLE
    assert run("redact", "--all", folder=tmp_path).returncode == 0
    assert path.exists()
    refused = run("redact", "--all", "--drop-unredacted", folder=tmp_path, MEDIA_KEEP_UNREDACTED="1")
    assert refused.returncode == 2
    assert "copies of 1 day(s) were removed" in run("redact", "--all", "--drop-unredacted", folder=tmp_path).stdout
    assert not path.exists()


def test_days_of_earlier_versions_are_brought_up_to_date(raw, kept, tmp_path):
    root = Path(raw.settings.root)
    assert not is_redacted(raw.tables, DAY)
    done = run("redact", "--all", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 day(s) redacted, 0 already were" in done.stdout
    assert not NUMBERS.search(everything(root) + done.stdout + done.stderr)
    assert is_redacted(raw.tables, DAY)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "leases" not in path.parts}
    assert "0 day(s) redacted, 1 already were" in run("redact", "--date", str(DAY), folder=tmp_path).stdout
    assert {path: path.read_bytes() for path in before} == before


def test_a_redacted_day_is_the_same_whether_redacted_at_once_or_later(speaking_org, export, raw):
    later = Redaction(raw.settings).days(None)
    (done,) = later.redacted
    paths = [Path(raw.settings.root) / "tables" / TABLE, *sidecars(Path(raw.settings.root))]
    then = [path.read_bytes() for path in paths]
    assert done.touched > 0
    for path in paths:
        path.unlink()
    (Path(raw.settings.root) / f"tables/transcript_status/date={DAY}/part-0.parquet").unlink()
    export(speaking_org)
    assert [path.read_bytes() for path in paths] == then


def test_a_run_of_a_raw_day_redacts_it_and_its_sidecars(raw, speaking_org, export):
    done = export(speaking_org)
    assert not NUMBERS.search(everything(Path(raw.settings.root)))
    assert check_of(done).passed


def test_the_check_names_raw_days(raw, speaking_org, export):
    other = export(speaking_org, day=DAY - dt.timedelta(days=1))
    check = check_of(other)
    assert not check.passed
    assert f"1 of 2 days hold raw transcripts: {DAY}." in check.description


def test_the_raw_text_is_kept_before_it_is_redacted(raw, tmp_path):
    run("redact", "--all", folder=tmp_path, MEDIA_KEEP_UNREDACTED="1")
    assert NUMBERS.search(str(pq.read_table(Path(raw.settings.root) / "unredacted" / TABLE).to_pylist()))


@pytest.mark.parametrize("lost", ["all", "some"])
def test_words_that_a_killed_run_did_not_write_are_fetched_again(lost, speaking_org, export):
    """Two tables are not replaced at once: the one that tells of transcripts may be there before their words."""
    first = export(speaking_org)
    path = Path(first.settings.root) / "tables" / TABLE
    whole = pq.read_table(path)
    if lost == "all":
        path.unlink()
    else:
        pq.write_table(whole.slice(0, len(whole) // 2), path, compression="zstd")
    export(speaking_org)
    assert pq.read_table(path).equals(whole)


def test_a_file_that_is_no_longer_listed_keeps_its_sidecar(speaking_org, export):
    done = export(speaking_org)
    before = [path.read_bytes() for path in sidecars(Path(done.settings.root))]
    renumbered = [row | {"file_index": 1} for row in done.rows("recording_inventory")]
    done.tables.write("recording_inventory", DAY, renumbered)
    definitions = build_definitions(done.settings, resources=resources_for(done.settings), retry=NO_RETRY)
    again = definitions.resolve_job_def("daily_export").execute_in_process(
        partition_key=str(DAY),
        asset_selection=[dg.AssetKey("diarized_transcripts"), dg.AssetKey("transcript_status")],
        raise_on_error=False,
    )
    assert again.success
    assert [path.read_bytes() for path in sidecars(Path(done.settings.root))] == before


def test_a_redaction_that_dies_leaves_the_day_raw_and_the_next_one_ends_it(raw, monkeypatch):
    from media_pipeline.tables import redaction

    original, calls = redaction.redact_segments, []

    def dies(rows):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return original(rows)

    monkeypatch.setattr(redaction, "redact_segments", dies)
    with pytest.raises(KeyboardInterrupt):
        Redaction(raw.settings).days(None)
    assert not is_redacted(raw.tables, DAY)
    monkeypatch.undo()
    Redaction(raw.settings).days(None)
    assert not NUMBERS.search(everything(Path(raw.settings.root)))


def test_a_day_that_a_run_works_on_is_left_and_named(raw, tmp_path):
    lease = Lease(raw.tables.store, lease_key(DAY), str(DAY), "somebody")
    lease.acquire()
    done = run("redact", "--all", folder=tmp_path)
    lease.release()
    assert done.returncode == 1
    assert f"{DAY}: a run works on it" in done.stdout
    assert not is_redacted(raw.tables, DAY)


def test_nothing_to_redact_is_said(tmp_path):
    done = run("redact", "--all", folder=tmp_path)
    assert done.returncode == 2
    assert "nothing to redact" in done.stderr


def of_format(done, media_format: str, redacted: bool) -> str:
    touched = {row["recording_id"] for row in done.rows("diarized_transcripts") if row["pii_redacted"]}
    for row in done.rows("recording_audio"):
        key = row["object_key"] or ""
        if key.endswith(f".{media_format}.gz") and (row["recording_id"] in touched) == redacted:
            return row["recording_id"]
    pytest.fail(f"no {media_format} in the day")


def test_the_redacted_segments_of_a_recording_are_silenced_in_a_copy(speaking_org, export, tmp_path):
    done = export(speaking_org)
    recording = of_format(done, "wav", redacted=True)
    key = done.audio[recording]["object_key"]
    before = done.bytes_of(key)
    told = run("redact-audio", recording, folder=tmp_path)
    assert told.returncode == 0, told.stderr
    assert f"redacted/{key}" in told.stdout.replace("\n", "")
    original, copy = gzip.decompress(before), gzip.decompress(done.bytes_of(f"redacted/{key}"))
    assert done.bytes_of(key) == before
    assert len(copy) == len(original)
    changed = {at for at, (a, b) in enumerate(zip(original, copy, strict=True)) if a != b}
    segments = [r for r in done.rows("diarized_transcripts") if r["recording_id"] == recording and r["pii_redacted"]]
    rate, frame = (int.from_bytes(original[a:b], "little") for a, b in ((24, 28), (32, 34)))
    data = original.index(b"data") + 8
    allowed = set()
    for row in segments:
        for number in range(row["start_ms"] * rate // 1000, -(-row["end_ms"] * rate // 1000)):
            allowed.update(range(data + number * frame, data + (number + 1) * frame))
    assert changed
    assert changed <= allowed
    assert {copy[at] for at in allowed} <= {0, 0xD5, 0xFF}
    told = run("redact-audio", recording, "--by-channel", "--date", str(DAY), folder=tmp_path)
    assert told.returncode == 0, told.stderr
    one = gzip.decompress(done.bytes_of(f"redacted/{key}"))
    silent = [sum(a != b for a, b in zip(original, data, strict=True)) for data in (copy, one)]
    assert 0 < silent[1] <= silent[0]  # equal where the file has one channel
    assert done.verdict.listed == len(done.rows("recording_audio"))
    log = "".join(p.read_text() for p in (Path(done.settings.root) / f"audit/date={DAY}").glob("redact-*.jsonl"))
    assert "audio_silenced" in log


def test_compressed_audio_is_refused_with_the_reason(speaking_org, export, tmp_path):
    done = export(speaking_org)
    told = run("redact-audio", of_format(done, "mp3", redacted=True), folder=tmp_path)
    assert told.returncode == 1
    assert "no WAV file" in told.stderr
    assert not (Path(done.settings.root) / "redacted").exists()


def test_a_recording_without_redactions_gets_no_copy(speaking_org, export, tmp_path):
    done = export(speaking_org)
    told = run("redact-audio", of_format(done, "wav", redacted=False), folder=tmp_path)
    assert told.returncode == 0
    assert "nothing to silence" in told.stdout


def test_a_raw_day_gives_no_silenced_copy(raw, tmp_path):
    told = run("redact-audio", of_format(raw, "wav", redacted=False), folder=tmp_path)
    assert told.returncode == 2
    assert "redact --date" in told.stderr
