"""When names become durable on a local disk."""

from pathlib import Path

import pytest

from media_pipeline.storage import files
from media_pipeline.storage.base import StorageError
from media_pipeline.storage.local import LocalStore


def synced(monkeypatch) -> list[str]:
    """Folders whose names were made durable, as it happens."""
    folders: list[str] = []
    real = files.sync_folder

    def noted(folder) -> None:
        folders.append(Path(folder).name)
        real(folder)

    monkeypatch.setattr(files, "sync_folder", noted)
    return folders


def test_names_given_soon_are_durable_after_a_flush_and_within_a_second(tmp_path, monkeypatch):
    store, done = LocalStore(tmp_path), synced(monkeypatch)
    now = 100.0
    monkeypatch.setattr(files.time, "monotonic", lambda: now)

    def publish(key: str) -> None:
        store.put_pieces(key, [b"by", b"tes"], soon=True)

    for number in range(5):
        publish(f"a/{number}")
    publish("b/0")
    assert done.count("a") == done.count("b") == 1, "the first name of each"
    store.flush()
    assert (done.count("a"), done.count("b")) == (2, 1), "those that were left"
    store.flush()
    assert len(done) == 3 + 2, "nothing is left, and the folders themselves were entered at first"
    publish("a/5")
    now += 1.0
    publish("a/6")
    assert done.count("a") == 3
    store.put("a/7", b"now")
    assert done.count("a") == 4


def test_a_folder_that_could_not_be_synced_is_tried_again(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)
    store.put("a/0", b"")
    store.put_pieces("a/1", [], soon=True)
    monkeypatch.setattr(files, "sync_folder", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    for _ in range(2):
        with pytest.raises(StorageError, match="Input/output error"):
            store.flush()
    done = synced(monkeypatch)
    monkeypatch.setattr(files, "sync_folder", lambda folder: done.append(folder))
    store.flush()
    assert len(done) == 1
