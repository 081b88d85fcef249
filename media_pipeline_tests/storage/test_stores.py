"""The same promises hold on a local disk and in S3."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.local import LocalStore

RACERS = 8


def test_an_object_appears_on_commit_and_not_before(store):
    with store.writer("audio/x.gz") as writer:
        writer.write(b"12")
        writer.write(b"345")
        assert store.open("audio/x.gz") is None
        assert writer.commit() == 5
    with store.open("audio/x.gz") as file:
        assert file.read() == b"12345"
    assert store.sizes("audio/") == {"audio/x.gz": 5}


def test_an_object_of_pieces_is_their_bytes_in_order_and_replaces_the_old_one(store):
    store.put("audio/x.gz", b"old")
    assert store.put_pieces("audio/x.gz", [b"1", b"", b"23", b"45"], sha256="ab" * 32, soon=True) == 5
    assert store.put_pieces("audio/empty", []) == 0
    store.flush()
    with store.open("audio/x.gz") as file:
        assert file.read() == b"12345"
    assert store.sizes("audio/") == {"audio/x.gz": 5, "audio/empty": 0}


def test_an_abandoned_object_leaves_the_old_one(store):
    store.put("audio/x.gz", b"old")
    with pytest.raises(RuntimeError), store.writer("audio/x.gz") as writer:
        writer.write(b"new")
        raise RuntimeError
    with store.open("audio/x.gz") as file:
        assert file.read() == b"old"
    assert list(store.sizes("audio/")) == ["audio/x.gz"]


def test_sizes_of_an_empty_prefix_are_none(store):
    assert store.sizes("audio/date=2026-01-01/") == {}


def test_other_bytes_have_another_tag_though_written_at_once_and_as_long(store):
    tags = set()
    for number in range(20):
        store.put("audio/x.gz", b"%04d" % number)
        tags.add(dict(store.tags("audio/"))["audio/x.gz"])
    assert len(tags) == 20
    assert dict(store.tags("video/")) == {}


def test_an_object_that_rests_keeps_its_tag(store):
    store.put("audio/x.gz", b"12")
    time.sleep(0.1)
    tags = dict(store.tags("audio/"))
    store.put("audio/y.gz", b"34")
    assert dict(store.tags("audio/"))["audio/x.gz"] == tags["audio/x.gz"]


def test_where_times_are_whole_seconds_a_file_keeps_its_tag_after_two(tmp_path):
    store = LocalStore(tmp_path)
    store.put("audio/x.gz", b"12")
    for age, tags in ((1, 2), (3, 1)):
        os.utime(tmp_path / "audio/x.gz", (0, int(time.time()) - age))
        assert len({dict(store.tags("audio/"))["audio/x.gz"] for _ in range(2)}) == tags


def test_a_range_of_an_object_ends_where_the_object_does(store):
    store.put("audio/x.gz", b"0123456789")
    assert store.read_range("audio/x.gz", 0, 10) == b"0123456789"
    assert store.read_range("audio/x.gz", 3, 4) == b"3456"
    assert store.read_range("audio/x.gz", 9, 1) == b"9"
    assert store.read_range("audio/x.gz", 8, 100) == b"89"
    assert store.read_range("audio/x.gz", 10, 1) == b""
    assert store.read_range("audio/x.gz", 1000, 1) == b""


def test_a_range_of_an_empty_object_is_empty_and_of_a_missing_one_none(store):
    store.put("audio/empty", b"")
    assert store.read_range("audio/empty", 0, 5) == b""
    assert store.read_range("audio/missing", 0, 5) is None
    assert store.read_range("audio", 0, 5) is None
    assert store.read_range("audio/empty/x", 0, 5) is None


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 0), (0, -1)])
def test_what_is_no_range_is_refused(store, start, length):
    with pytest.raises(ValueError, match="not a range of an object"):
        store.read_range("audio/x.gz", start, length)
    with pytest.raises(ValueError, match="is not an object key"):
        store.read_range("../x", 0, 1)


def test_a_range_of_a_large_uploaded_object_is_exact(store):
    data = os.urandom(9 * 1024 * 1024)  # a multipart upload, whose checksum is not that of its bytes
    with store.writer("audio/large") as writer:
        writer.write(data)
        writer.commit()
    assert store.read_range("audio/large", 8_388_600, 5_000) == data[8_388_600:8_393_600]


@pytest.mark.parametrize("key", ["../x", "/x", "a/../../x", "", "a\\b"])
def test_a_key_cannot_leave_the_root(store, key):
    with pytest.raises(ValueError, match="is not an object key"):
        store.put(key, b"")


def test_a_finished_file_becomes_an_object_and_is_gone(store, tmp_path):
    for data in (b"", b"first", os.urandom(17 * 1024 * 1024), b"second"):
        path = tmp_path / "finished"
        path.write_bytes(data)
        assert store.publish(path, "audio/x.gz", sha256="5e") == len(data)
        assert not path.exists()
        with store.open("audio/x.gz") as file:
            assert file.read() == data
        assert store.sizes("audio/") == {"audio/x.gz": len(data)}


def test_a_file_is_published_under_a_free_key_only(store, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    assert store.publish_new(first, "audio/x.gz") is True
    assert store.publish_new(second, "audio/x.gz") is False
    assert not first.exists()
    assert second.read_bytes() == b"second"
    with store.open("audio/x.gz") as file:
        assert file.read() == b"first"


def test_a_small_object_is_swapped_by_who_knows_its_tag(store):
    assert store.get_small("leases/x") is None
    assert store.put_if("leases/x", b"stranger", "0" * 32) is None
    first = store.put_if("leases/x", b"first", None)
    assert store.get_small("leases/x") == (b"first", first)
    assert store.put_if("leases/x", b"stranger", None) is None
    second = store.put_if("leases/x", b"second", first)
    assert second not in (None, first)
    assert store.put_if("leases/x", b"stranger", first) is None
    assert store.get_small("leases/x") == (b"second", second)


@pytest.fixture
def fair(request: pytest.FixtureRequest, store: ObjectStore) -> ObjectStore:
    """A store that keeps its promise to racers: moto looks first and writes then."""
    if not isinstance(store, LocalStore):
        request.getfixturevalue("gateway")
    return store


def race(runner):
    with ThreadPoolExecutor(RACERS) as pool:
        return [result for result in pool.map(runner, range(RACERS)) if result]


def test_one_of_eight_racers_creates(fair, tmp_path):
    assert len(race(lambda i: fair.put_if("leases/x", b"racer %d" % i, None))) == 1

    def publish(i):
        (path := tmp_path / str(i)).write_bytes(b"racer %d" % i)
        return fair.publish_new(path, "audio/x.gz")

    assert len(race(publish)) == 1


def test_one_of_eight_racers_replaces_and_no_step_is_lost(fair):
    tag = fair.put_if("leases/x", b"0", None)
    assert len(race(lambda i: fair.put_if("leases/x", b"racer %d" % i, tag))) == 1
    fair.put_if("leases/count", b"0", None)

    def count(_):
        while True:
            data, tag = fair.get_small("leases/count")
            if fair.put_if("leases/count", b"%d" % (int(data) + 1), tag):
                return True

    race(count)
    assert fair.get_small("leases/count").data == b"%d" % RACERS


def test_a_version_is_read_in_ranges_and_never_mixed_with_what_replaces_it(store):
    store.put("audio/x.gz", b"0123456789")
    version = store.version("audio/x.gz")
    assert version.stat.size == 10
    assert abs(version.stat.modified - dict(store.stats("audio/"))["audio/x.gz"].modified) < 1
    assert version.read_range(3, 4) == b"3456"
    assert version.read_range(8, 100) == b"89"
    store.put("audio/x.gz", b"abcdefghijk")
    assert version.read_range(0, 4) in (b"0123", None)
    version.close()
    version.close()
    assert store.version("audio/missing.gz") is None
    assert store.version("audio") is None
