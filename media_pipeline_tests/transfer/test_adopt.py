"""Objects of a run that was killed before it could say so: taken for what they are when something proves them."""

import os

import pytest

from media_pipeline.genesys.source import ListedRecording, MediaFile
from media_pipeline.storage.gzi import INDEX_SUFFIX
from media_pipeline.storage.local import SHA256
from media_pipeline.tables.schemas.recordings import RECORDING_AUDIO
from media_pipeline.transfer.adopt import adopted
from media_pipeline.transfer.recording import Exporter, Task
from media_pipeline.transfer.sidecar import sidecar_key
from media_pipeline_tests.transfer.resuming import BODY, KEY, MD5, TOTAL, Files, rest
from media_pipeline_tests.transfer.serving import plain

LISTED = ListedRecording(
    recording_id="r",
    conversation_id=None,
    media_type="call",
    format="wav",
    started_at=None,
    duration_seconds=None,
    file_state="available",
)


@pytest.fixture
def files(tmp_path):
    """A published object whose sidecar and row were never written."""
    found = Files(tmp_path)
    found.fetch(rest, size=None, md5=None)
    return found


def media(**facts):
    return MediaFile(**{"file_name": None, "content_type": None, "size_bytes": None, "md5": None, "link": "x"} | facts)


@pytest.mark.parametrize("stated", [{}, {"size_bytes": TOTAL}, {"md5": MD5}])
def test_an_object_that_bears_its_hash_needs_no_download(files, stated):
    files.store.remove(KEY + INDEX_SUFFIX)
    found = adopted(files.store, KEY, media(**stated))
    assert (found.source_size_bytes, found.md5) == (TOTAL, MD5)
    assert found.integrity_basis == ("source_md5" if "md5" in stated else "length_and_range")
    assert (files.store.root / (KEY + INDEX_SUFFIX)).exists()


@pytest.mark.parametrize("stated", [{"size_bytes": TOTAL + 1}, {"md5": "0" * 32}])
def test_an_object_of_another_file_is_not_taken(files, stated):
    assert adopted(files.store, KEY, media(**stated)) is None


@pytest.mark.parametrize("without", ["hash", "bytes"])
def test_an_object_that_nothing_proves_is_not_taken(files, without):
    path = files.store.root / KEY
    if without == "hash":
        os.removexattr(path, SHA256)
    else:
        os.setxattr(path, SHA256, b"0" * 64)
    assert adopted(files.store, KEY, media()) is None


def test_a_sidecar_too_deep_to_read_is_no_proof(files):
    os.removexattr(files.store.root / KEY, SHA256)
    files.store.put(sidecar_key(KEY), b"[" * 200_000)
    assert adopted(files.store, KEY, media()) is None


@pytest.mark.parametrize(("status", "taken"), [(None, True), ("pending", True), ("failed", False)])
def test_what_a_settled_row_does_not_know_of_is_fetched_anew(files, status, taken):
    """Its object is of another time, and a source that states neither size nor MD5 cannot be compared with it."""
    earlier = None if status is None else {"status": status, "reason": "forbidden", "listed_state": "available"}
    asked = []

    class Source:
        def resolve(self, _listed):
            return media()

    class Fetches:
        def download(self, *_):
            asked.append(1)
            raise AssertionError

    exporter = Exporter(Source(), files.store, Fetches(), lambda _: 1)
    task = Task(LISTED, True, KEY, earlier)
    if taken:
        assert exporter.export(task).row["status"] == "stored"
    else:
        with pytest.raises(AssertionError):
            exporter.export(task)
    assert bool(asked) != taken


@pytest.mark.parametrize(
    ("earlier", "present", "options", "in_doubt"),
    [
        ("stored", 7, {"refetch": "everything"}, True),
        ("stored", 6, {}, True),  # the object is not the one that the row speaks of
        ("stored", None, {}, True),
        ("stored", 7, {}, False),
        ("stored", 7, {"refetch": "everything", "only": {"another"}}, False),
        ("failed", 7, {"refetch": "everything"}, False),
        (None, 7, {"refetch": "everything"}, False),
    ],
)
def test_a_stored_row_is_in_doubt_while_its_object_is_fetched_anew(files, earlier, present, options, in_doubt):
    """A kill in between may leave another object than the one whose digests the row has."""
    row = earlier and {
        "recording_id": "r",
        "status": earlier,
        "object_key": KEY,
        "stored_size_bytes": 7,
        "listed_state": "available",
    }
    exporter = Exporter(None, files.store, None, {KEY: present}.get, **options)
    found = exporter.in_doubt(Task(LISTED, True, KEY, row))
    assert (found is not None) == in_doubt
    if found:
        assert (found["recording_id"], found["status"], found["reason"]) == ("r", "pending", "not_ready")
        assert (found["object_key"], found["stored_size_bytes"]) == (KEY, 7)


@pytest.mark.parametrize("only", [(), {"another"}])
@pytest.mark.parametrize("proved", [True, False])
def test_a_row_in_doubt_is_stored_again_when_its_object_proves_it(files, proved, only):
    """A kill while it was fetched anew is no reason to forget it, even if the source has no file any more."""

    class Source:
        link = "x"

        def resolve(self, _listed):
            return media(link=self.link)

    def exporter(**options):
        sizes = files.store.sizes("audio/")
        return Exporter(source, files.store, None, sizes.get, **options)

    source = Source()
    stored = dict.fromkeys(RECORDING_AUDIO.names) | exporter().export(Task(LISTED, True, KEY, None)).row
    assert stored["status"] == "stored"
    doubted = exporter(refetch="everything").in_doubt(Task(LISTED, True, KEY, stored))
    if not proved:
        files.fetch(lambda handler: plain(handler, 200, BODY[1:]), body=BODY[1:], size=None, md5=None)
    source.link = None
    row = exporter(only=only).export(Task(LISTED, True, KEY, doubted)).row
    if proved:
        assert row == stored
    else:
        assert row["reason"] == ("not_ready" if only else "no_file")
        assert "object_key" not in row
