"""verify: each way in which a real exported day can differ from its tables is found and named."""

import dataclasses
import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest

from media_pipeline.archive import Archive
from media_pipeline.messaging.uploads import merge_rows
from media_pipeline.sandbox.messaging.samples import png
from media_pipeline.storage.gzi import BlockIndex
from media_pipeline.tables.paths import upload_key
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.harness import DAY, Export, settings_for
from media_pipeline_tests.s3_server import BUCKET
from media_pipeline_tests.verify.conftest import edit_table, flip, path_of, run, stored, verified


def same_sized_other_gzip(path: Path) -> None:
    """Sound gzip of the same size that holds something else."""
    size = path.stat().st_size
    path.write_bytes(gzip.compress(b"", 0)[:-8].ljust(size, b"\0") if size < 20 else _padded_gzip(size))


def _padded_gzip(size: int) -> bytes:
    data = gzip.compress(b"other", mtime=0)
    return data + bytes(size - len(data))


def test_a_day_as_exported_is_all_right_and_nothing_is_changed_by_looking(done):
    root = Path(done.settings.root)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    result = verified(done)
    assert (result.losses, result.counts.total(), result.objects) == (0, 0, len(stored(done)))
    assert result.bytes_read >= sum(row["stored_size_bytes"] for row in stored(done))
    assert result.sentence.endswith("all as the tables say.")
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def with_upload(done: Export) -> Path:
    """A guest's file of the day, as the job messaging keeps it."""
    data = png(3)
    sha256 = hashlib.sha256(data).hexdigest()
    key = upload_key(done.day, "f-1", sha256, "png")
    done.tables.store.put(key, data)
    facts = {"file_id": "f-1", "conversation_id": "c", "status": "stored", "object_key": key}
    row = dict.fromkeys(TABLES["guest_uploads"].names) | facts | {"size_bytes": len(data), "sha256": sha256}
    merge_rows(done.tables, done.day, [row])
    return path_of(done, key)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda path: None, None),
        (flip, "changed"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "changed"),
        (Path.unlink, "missing"),
        (lambda path: path.with_name("other.png").write_bytes(b"x"), "orphan"),
    ],
)
def test_a_guests_file_is_verified_as_well(done, damage, kind):
    objects = verified(done).objects
    damage(with_upload(done))
    result = verified(done)
    assert result.objects == objects + 1
    assert dict(result.counts) == ({kind: 1} if kind else {})
    assert result.losses == (kind not in (None, "orphan"))
    assert verified(done, sample=3, seed=1).losses == 0


def test_a_day_with_files_of_guests_alone_is_no_day_that_was_never_exported(done):
    later = dataclasses.replace(done, day=DAY.fromordinal(DAY.toordinal() + 1))
    flip(with_upload(later))
    assert dict(Archive(done.settings).verify(None).counts) == {"changed": 1}
    assert dict(Archive(done.settings).verify((later.day, later.day)).counts) == {"changed": 1, "never_exported": 1}


DAMAGES = {
    "byte flipped": ("unreadable", lambda path: flip(path)),
    "checksum flipped": ("unreadable", lambda path: flip(path, -32)),
    "other content of the same size": ("changed", same_sized_other_gzip),
    "truncated": ("changed", lambda path: path.write_bytes(path.read_bytes()[:-5])),
    "removed": ("missing", lambda path: path.unlink()),
    "no gzip at all": ("unreadable", lambda path: path.write_bytes(b"x" * path.stat().st_size)),
    "appended to": ("changed", lambda path: path.write_bytes(path.read_bytes() + b"more")),
    "index flipped": ("index_wrong", lambda path: flip(path.with_name(path.name + ".gzi"), 0)),
    "index of another object": (
        "index_wrong",
        lambda path: path.with_name(path.name + ".gzi").write_bytes(
            BlockIndex.decode(bytes.fromhex("0100000000000000400000000000000000ff000000000000")).encode()
        ),
    ),
    "index cut off": ("index_wrong", lambda path: path.with_name(path.name + ".gzi").write_bytes(b"\1\0\0")),
    "index missing": ("index_missing", lambda path: path.with_name(path.name + ".gzi").unlink()),
    "sidecar of other bytes": (
        "sidecar_wrong",
        lambda path: _edit_sidecar(path, sha256="0" * 64),
    ),
    "sidecar of another object": ("sidecar_wrong", lambda path: _edit_sidecar(path, object_key="audio/x.wav.gz")),
    "sidecar that is no JSON": (
        "sidecar_wrong",
        lambda path: path.with_name(path.name.rsplit(".", 2)[0] + ".json").write_text("[" * 100_000),
    ),
}


def _edit_sidecar(path: Path, **changes: str) -> None:
    sidecar = path.with_name(path.name.rsplit(".", 2)[0] + ".json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | changes))


def test_each_damage_is_found_by_its_kind_and_name(done):
    rows = stored(done)
    expected = {}
    for row, (kind, damage) in zip(rows, DAMAGES.values(), strict=False):
        damage(path_of(done, row["object_key"]))
        expected[row["recording_id"]] = kind
    assert len(expected) == len(DAMAGES)
    result = verified(done)
    assert {finding.recording_id: finding.kind for finding in result.findings} == expected
    assert result.counts == Counter(expected.values())
    assert result.losses == len(DAMAGES) - 1, "a missing index costs no media"
    for finding in result.findings:
        assert finding.key.startswith(f"audio/date={DAY}/")
        assert finding.sentence.endswith(".")
    assert not result.worst_first()[-1].is_loss
    assert {finding.recording_id for finding in verified(done, sample=1000).findings} == set(expected)


def test_a_sound_gzip_of_other_bytes_in_blocks_is_found(done):
    """Only the hashes tell: every structure is right."""
    one, other = stored(done)[:2]
    for suffix in ("", ".gzi"):
        source = path_of(done, other["object_key"] + suffix).read_bytes()
        path_of(done, one["object_key"] + suffix).write_bytes(source)
    (finding,) = verified(done).findings
    assert (finding.kind, finding.recording_id) == ("changed", one["recording_id"])


def test_ordinary_gzip_of_an_earlier_version_is_accepted_and_an_index_beside_it_is_not(done):
    row = stored(done)[0]
    path = path_of(done, row["object_key"])
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())))
    edit_table(done, lambda rows: [r | ({"stored_size_bytes": path.stat().st_size} if r == row else {}) for r in rows])
    index = path.with_name(path.name + ".gzi")
    kept = index.read_bytes()
    index.unlink()
    assert verified(done).counts.total() == 0
    index.write_bytes(kept)
    (finding,) = verified(done).findings
    assert (finding.kind, finding.recording_id) == ("index_wrong", row["recording_id"])


def test_files_that_no_table_knows_are_named_and_left_alone(done):
    folder = Path(done.settings.root) / f"audio/date={DAY}"
    strays = [folder / "holiday.wav.gz", folder / "new" / "notes.txt"]
    for stray in strays:
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"not ours")
    result = verified(done)
    assert {finding.key for finding in result.findings} == {
        path.relative_to(done.settings.root).as_posix() for path in strays
    }
    assert result.counts == {"orphan": 2}
    assert result.losses == 0
    assert all(stray.exists() for stray in strays)


@pytest.mark.parametrize(
    ("status", "reason", "named"), [("unavailable", "no_file", True), ("failed", "server_error", False)]
)
def test_an_object_of_a_recording_that_is_settled_as_not_stored_is_named(done, status, reason, named):
    """One that is still to be settled is its next run's business."""
    row = stored(done)[0]
    outcome = {"status": status, "reason": reason, "object_key": None, "stored_size_bytes": None, "sha256": None}
    edit_table(done, lambda rows: [r | (outcome if r == row else {}) for r in rows])
    result = verified(done)
    assert [(finding.kind, finding.key) for finding in result.findings] == [("orphan", row["object_key"])] * named
    assert result.losses == 0
    assert path_of(done, row["object_key"]).exists()


def test_a_row_that_was_taken_from_the_table_is_a_mismatch(done):
    row = stored(done)[0]
    edit_table(done, lambda rows: [r for r in rows if r["recording_id"] != row["recording_id"]])
    (finding,) = verified(done).findings
    assert (finding.kind, finding.recording_id) == ("mismatch", row["recording_id"])


def test_more_mismatches_than_are_named_are_counted(done):
    count = len(done.rows("recording_audio"))
    edit_table(done, lambda rows: [])
    assert verified(done).counts["mismatch"] == count > 20


def test_a_lost_or_damaged_table_does_not_hide_its_day(done):
    path = path_of(done, f"tables/recording_audio/date={DAY}/part-0.parquet")
    kept = path.read_bytes()
    path.write_bytes(kept[: len(kept) // 2])
    assert Archive(done.settings).verify(None).counts == {"unreadable": 1}
    path.unlink()
    result = Archive(done.settings).verify(None)
    assert result.counts == {"mismatch": 1}
    assert "no recording_audio" in result.findings[0].sentence


@pytest.mark.parametrize("key", ["../../secret", "/etc/passwd", "", None])
def test_an_object_key_that_is_none_of_the_archive_is_not_followed(done, key):
    row = stored(done)[0]
    edit_table(done, lambda rows: [r | ({"object_key": key} if r == row else {}) for r in rows])
    kinds = Counter(finding.kind for finding in verified(done).findings)
    assert kinds["mismatch"] == 1
    assert not kinds["unreadable"]


def test_findings_of_a_day_with_an_unfinished_run_say_so(done):
    path_of(done, stored(done)[0]["object_key"]).unlink()
    assert verified(done).under_way == []
    done.tables.store.put(f"ledger/date={DAY}/run.1.jsonl", b"{}\n")
    assert verified(done).under_way == [DAY]


def test_findings_beyond_what_is_kept_are_counted_and_losses_are_kept_first(monkeypatch, done):
    monkeypatch.setattr("media_pipeline.tables.verification.KEPT_FINDINGS", 3)
    folder = Path(done.settings.root) / f"audio/date={DAY}"
    for number in range(5):
        (folder / f"stray-{number}").touch()
    flip(path_of(done, stored(done)[0]["object_key"]))
    result = verified(done)
    assert result.counts == {"orphan": 5, "unreadable": 1}
    assert [finding.kind for finding in result.worst_first()] == ["unreadable", "orphan", "orphan"]


def test_a_day_in_s3_is_verified_without_genesys(org, export, s3_root, tmp_path, s3):
    import boto3

    done = export(org, root=s3_root)
    assert Archive(settings_for("", tmp_path, root=s3_root, client_id="")).verify(None).counts.total() == 0
    rows = stored(done)
    client, prefix = boto3.Session().client("s3"), urlsplit(s3_root).path.strip("/") + "/"
    data = bytearray(done.bytes_of(rows[0]["object_key"]))
    data[len(data) // 2] ^= 0xFF
    client.put_object(Bucket=BUCKET, Key=prefix + rows[0]["object_key"], Body=bytes(data))
    client.delete_object(Bucket=BUCKET, Key=prefix + rows[1]["object_key"])
    client.put_object(Bucket=BUCKET, Key=f"{prefix}audio/date={DAY}/stray.txt", Body=b"x")
    client.close()
    told = run("verify", "--all", "--json", root=s3_root, folder=tmp_path, **s3.variables())
    assert told.returncode == 1, told.stderr
    kinds = {finding["key"]: finding["kind"] for finding in json.loads(told.stdout)["findings"]}
    assert kinds == {
        rows[0]["object_key"]: "unreadable",
        rows[1]["object_key"]: "missing",
        f"audio/date={DAY}/stray.txt": "orphan",
    }


def test_an_index_of_several_blocks_is_proved(speaking_org, export):
    ids = speaking_org.ordinary(2)
    done = export(speaking_org, config={"recordings": ids})
    one, other = (done.audio[i]["object_key"] for i in ids)
    assert verified(done).counts.total() == 0
    path_of(done, one + ".gzi").write_bytes(path_of(done, other + ".gzi").read_bytes())
    (finding,) = verified(done).findings
    assert (finding.kind, finding.key) == ("index_wrong", one + ".gzi")
    assert pq.read_table(path_of(done, f"tables/recording_audio/date={DAY}/part-0.parquet")).num_rows > 2
