"""Links: asked for ahead, handed out once, and always those of the file that is meant."""

import threading

import pytest

from media_pipeline.genesys.errors import (
    ServerError,
)
from media_pipeline.genesys.pacing import Patience
from media_pipeline.genesys.platform_batches import DeliveredFile, Delivery, Job, Wanted
from media_pipeline.genesys.platform_links import MOST_AHEAD, FileWanted, Links
from media_pipeline.genesys.platform_polling import Pace, Waiter
from media_pipeline_tests.genesys.platform_api import waiter

FIRST = FileWanted(0)


class FakeBatches:
    """Every recording has one file; links are numbered by batch."""

    def __init__(self, expires="600"):
        self.submitted, self.expires, self.fail = [], expires, None

    def submit(self, wanted):
        if self.fail:
            raise self.fail
        self.submitted.append([item.recording_id for item in wanted])
        now = Waiter(Patience()).now()
        return Job(str(len(self.submitted)), tuple(wanted), now, Pace(now, now, 0.0))

    def collect(self, job):
        delivery = Delivery(job.submitted, finished=True)
        for item in job.wanted:
            if not item.recording_id.startswith("gone"):
                link = f"https://s3/{item.recording_id}?job={job.id}&X-Amz-Expires={self.expires}"
                delivery.add((item.conversation_id, item.recording_id), DeliveredFile(link, "audio/wav"))
        return delivery


def keys(count):
    return [("c", f"r{number:04}") for number in range(count)]


def links_of(batches):
    return Links(batches, waiter(), lambda: 3600.0)


def test_what_is_expected_is_asked_for_a_hundred_at_a_time():
    batches = FakeBatches()
    links = links_of(batches)
    links.expect(keys(250))
    assert [len(batch) for batch in batches.submitted] == [100, 100]
    assert all(isinstance(links.take(key, FIRST), DeliveredFile) for key in keys(250))
    assert [len(batch) for batch in batches.submitted] == [100, 100, 50]


def test_what_a_listing_learned_is_not_asked_for():
    batches = FakeBatches()
    links = links_of(batches)
    links.learn(batches.collect(batches.submit([Wanted(*key) for key in keys(100)])))
    links.expect(keys(100))
    assert all(isinstance(links.take(key, FIRST), DeliveredFile) for key in keys(100))
    assert len(batches.submitted) == 1


class FilesOfOne(FakeBatches):
    """Batches of one recording; `next` says which files come, with "!" for one that is refused."""

    def __init__(self, *following):
        super().__init__()
        self.following = list(following)

    def collect(self, job):
        delivery = Delivery(job.submitted, finished=True)
        for name in self.following.pop(0):
            if name == "!":
                delivery.refused["c", "r"] = "An error occurred."
            else:
                link = f"https://s3/{name}?X-Amz-Signature={job.id}&X-Amz-Expires=600"
                delivery.add(("c", "r"), DeliveredFile(link, "audio/wav"))
        return delivery


def wanted(name, index, of):
    return FileWanted(index, DeliveredFile(f"https://s3/{name}", None).identity, of)


def names(links, *asked):
    found = (links.take(("c", "r"), each) for each in asked)
    return [None if isinstance(each, Delivery) else each.link[len("https://s3/")] for each in found]


def test_a_file_of_several_is_found_wherever_it_comes_in_a_delivery():
    a, b = wanted("a", 0, 2), wanted("b", 1, 2)
    assert names(links_of(FilesOfOne("ab")), a, b) == ["a", "b"]
    assert names(links_of(FilesOfOne("ab")), wanted("a", 1, 2), wanted("b", 0, 2)) == ["a", "b"]
    assert names(links_of(FilesOfOne("ab", "ab")), b, b) == ["b", "b"]


@pytest.mark.parametrize("later", ["b", "!b", "bc", "!bc", "!", ""])
def test_a_link_that_is_asked_for_anew_is_never_another_file(later):
    a, b = wanted("a", 0, 2), wanted("b", 1, 2)
    assert names(links_of(FilesOfOne("ab", later)), a, a) == ["a", None]
    held = links_of(FilesOfOne("ab", later, later))
    assert names(held, a, b, a) == ["a", "b", None]


def test_the_only_file_of_a_recording_may_lie_elsewhere_by_now():
    assert names(links_of(FilesOfOne("x")), wanted("a", 0, 1)) == ["x"]
    for grown in ("xy", "!x"):
        assert names(links_of(FilesOfOne(grown)), wanted("a", 0, 1)) == [None]
    grown = links_of(FilesOfOne("az", "xz"))
    assert names(grown, wanted("z", 0, 1), wanted("z", 0, 1)) == ["z", "z"], "what is left of two is no only file"


def test_where_no_file_stays_in_its_place_as_many_as_were_listed_keep_their_order():
    a, b = wanted("a", 0, 2), wanted("b", 1, 2)
    assert names(links_of(FilesOfOne("xy", "vw", "tu")), a, b, a) == ["x", "w", "t"]
    for other in ("x", "xyz"):
        assert names(links_of(FilesOfOne(other, other)), a) == [None]


def test_a_link_is_handed_out_once():
    batches = FakeBatches()
    links = links_of(batches)
    first, second = links.take(("c", "r"), FIRST), links.take(("c", "r"), FIRST)
    assert first.link != second.link


def test_no_more_is_asked_ahead_than_can_be_used():
    batches = FakeBatches()
    links_of(batches).expect(keys(5_000))
    assert sum(map(len, batches.submitted)) == MOST_AHEAD


def test_links_that_die_before_their_use_make_the_look_ahead_shorter():
    batches = FakeBatches(expires="0")
    links = links_of(batches)
    for start in range(0, 2_000, 100):
        links.expect(keys(2_000)[start : start + 100])
        for key in keys(2_000)[start : start + 100]:
            assert isinstance(links.take(key, FIRST), DeliveredFile)
    assert min(map(len, batches.submitted)) <= 10


def test_what_a_batch_leaves_out_is_told_from_what_it_brings():
    links = links_of(FakeBatches())
    links.expect([("c", "gone")])
    assert isinstance(links.take(("c", "gone"), FIRST), Delivery)


def test_an_error_reaches_all_who_wait_and_the_next_ask_anew():
    batches = FakeBatches()
    links = links_of(batches)
    batches.fail = ServerError("down")
    links.expect(keys(100))
    for key in keys(2):
        with pytest.raises(ServerError, match="down"):
            links.take(key, FIRST)
    batches.fail = None
    assert isinstance(links.take(keys(1)[0], FIRST), DeliveredFile)


def test_many_threads_share_batches():
    batches = FakeBatches()
    links = links_of(batches)
    taken, wanted = [], keys(400)
    links.expect(wanted)

    def work(part):
        taken.extend(links.take(key, FIRST).link for key in wanted[part::8])

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(taken)) == 400
    assert [len(batch) for batch in batches.submitted] == [100] * 4
