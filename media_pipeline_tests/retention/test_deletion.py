"""The ledger at work against a real source: retention, two-phase deletion, certificates, and what is in its way."""

import datetime as dt
import hashlib

import pytest

from media_pipeline.genesys.errors import AuthenticationError
from media_pipeline.messaging.retention import Copy, Policy
from media_pipeline_tests.retention.conftest import FIFTEEN, IN_BOTH, NO_COPY, WAV, WITH_COPY

SHA256 = hashlib.sha256(WAV).hexdigest()


@IN_BOTH
def test_an_attachment_gets_a_retention_and_is_deleted_when_it_is_due(bench):
    (media,) = bench.uploaded()
    due = bench.schedule(media, copy=bench.copied(WAV, "uploads/a.wav"), policy=WITH_COPY)
    tally = bench.work()
    assert (tally.taken_in, tally.whole, tally.problems) == (1, True, [])
    assert bench.row(media)["state"] == "retention_set"
    assert bench.writes("media_retention")[-1]["body"] == {"retention": {"duration": "15m"}}
    bench.move(minutes=14)
    assert bench.work().outcomes == {}
    assert bench.there(media)
    bench.move(minutes=1)  # the source lets go of it a moment later: whoever comes first, it is certified
    bench.work()
    row = bench.row(media)
    assert not bench.there(media)
    assert row["due"] == due.replace(microsecond=due.microsecond // 1000 * 1000)
    assert (row["state"], row["destroyed_sha256"], row["hash_basis"]) == ("deleted", SHA256, "verified_copy")
    assert row["certificate"] in ("deleted", "deleted_by_source")
    assert [event["event"] for event in bench.events] == ["media_retention_set", "media_deleted"]
    assert bench.events[-1]["sha256"] == SHA256


def test_deleted_is_confirmed_by_asking_again_and_the_404_is_the_confirmation(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, policy=Policy(name="at_once", why="It was rejected.", ttl=dt.timedelta(0), keeps_copy=False))
    bench.work()
    assert bench.row(media)["certificate"] == "deleted"
    assert [each["status"] for each in bench.writes("attachment_delete") if media in each["subject"]] == [204, 404]
    before = len(bench.writes("attachment_delete"))
    bench.move(days=1)
    assert bench.work().outcomes == {}
    assert len(bench.writes("attachment_delete")) == before


def test_nothing_happens_at_the_source_while_the_switch_is_off_and_all_of_it_once_it_is_on(bench):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work(allowed=False)
    bench.move(**FIFTEEN)
    bench.work(allowed=False)
    bench.move(minutes=5)
    assert bench.work(allowed=False).outcomes == {}
    row = bench.row(media)
    assert (row["state"], row["reason"], row["source"]) == ("would_delete", "switched_off", "guide")
    assert bench.there(media)
    assert not [each for each in bench.writes("media_retention") if media in each["subject"]]
    bench.work()
    assert bench.row(media)["state"] == "deleted"
    assert not bench.there(media)


def test_it_is_never_deleted_within_half_a_minute_of_its_routing(bench):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    bench.move(minutes=14, seconds=50)
    bench.schedule(media, routed_at=bench.now())
    bench.work()
    assert len(bench.writes("media_retention")) == 2, "the source is told to keep it longer, too"
    bench.move(seconds=20)
    bench.work()
    assert bench.there(media)
    assert bench.row(media)["state"] == "retention_set"
    assert [each for each in bench.writes("attachment_delete") if media in each["subject"]] == []
    bench.move(seconds=11)
    bench.work()
    assert bench.row(media)["state"] == "deleted"


@IN_BOTH
def test_a_later_deadline_counts_even_while_a_run_is_about_to_delete(bench):
    """The run has taken its entries in; the message is routed before the request goes out."""
    media = bench.uploaded(2)
    soon = Policy(name="soon", why="Soon.", ttl=dt.timedelta(0), keeps_copy=False)
    for each in media:
        bench.schedule(each, soon)
    _, second = sorted(media, key=lambda each: (bench_due(bench, each), each))
    tally = bench.work(emit=lambda *_, **__: bench.schedule(second, soon, routed_at=bench.now()))
    assert tally.outcomes["deleted"] == 1
    assert bench.there(second)
    bench.work()
    assert bench.row(second)["due"] > bench.now()
    bench.move(seconds=31)
    bench.work()
    assert not bench.there(second)


def bench_due(bench, media):
    """Deadlines oldest first: the run's order."""
    lines = [bench.store.get_small(key).data for key in bench.store.sizes("retention/new/")]
    return next(line for line in lines if media.encode() in line).split(b'"due": ')[1][:34]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda bench: bench.store.remove("uploads/a.wav"), "copy_missing"),
        (lambda bench: bench.store.put("uploads/a.wav", WAV[:-1]), "copy_differs"),
    ],
)
def test_the_only_right_copy_is_not_deleted_and_is_once_ours_is_restored(bench, spoil, reason):
    (media,) = bench.uploaded()
    copy = bench.copied(WAV, "uploads/a.wav")
    bench.schedule(media, WITH_COPY, copy=copy)
    spoil(bench)
    bench.work()
    bench.move(minutes=20)
    tally = bench.work()
    row = bench.row(media)
    assert (row["state"], row["reason"]) == ("failed", reason)
    assert bench.there(media)
    assert tally.problems
    bench.store.put(copy.key, WAV)
    bench.move(minutes=30)
    bench.work()
    assert bench.row(media)["state"] == "deleted"


def test_what_has_no_copy_is_deleted_only_by_a_policy_that_keeps_none(bench):
    without, unneeded = bench.uploaded(2)
    bench.schedule(without, WITH_COPY)
    bench.schedule(unneeded, NO_COPY, sha256="ab" * 32)
    bench.work()
    bench.move(**FIFTEEN)
    bench.work()
    assert (bench.row(without)["state"], bench.row(without)["reason"]) == ("failed", "no_copy")
    assert bench.there(without)
    row = bench.row(unneeded)
    assert (row["state"], row["destroyed_sha256"], row["hash_basis"]) == ("deleted", "ab" * 32, "declared")


def test_a_missing_permission_is_named_and_the_deletion_done_once_it_is_granted(bench):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    bench.move(minutes=15)
    bench.org.break_with({"fault": "forbidden", "on": ["attachment_delete"], "permission": "media:delete", "times": 1})
    tally = bench.work()
    row = bench.row(media)
    assert (row["state"], row["reason"], row["attempts"]) == ("failed", "forbidden", 1)
    assert "media:delete" in row["detail"]
    assert "media:delete" in tally.problems[0]
    assert bench.work().outcomes == {}, "not at once"
    bench.move(minutes=2)
    bench.work()
    assert bench.row(media)["state"] == "deleted"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"fault": "rate_limit", "wait": 0}, "rate_limited"),
        ({"fault": "server_error", "code": 503}, "server_error"),
        ({"fault": "reset"}, "server_error"),
    ],
)
def test_a_source_that_fails_is_asked_again_later_and_a_lost_reply_is_not_lost(bench, fault, reason):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.work()
    bench.move(minutes=15)
    bench.org.break_with({"on": ["attachment_delete"], "times": 1} | fault)
    bench.work()
    row = bench.row(media)
    assert (row["state"], row["reason"], row["attempts"]) == ("retention_set", reason, 1)
    bench.move(minutes=1, seconds=1)
    bench.work()
    row = bench.row(media)
    assert (row["state"], row["certificate"]) == ("deleted", "deleted")
    assert not bench.there(media)


def test_a_source_that_is_sick_is_left_alone_and_nothing_is_forgotten(bench):
    media = bench.uploaded(30)
    for each in media:
        bench.schedule(each)
    bench.work()
    bench.move(minutes=15)
    bench.org.forget_stats()
    bench.org.break_with({"fault": "server_error", "on": ["attachment_delete"]})
    tally = bench.work()
    assert not tally.whole
    assert bench.org.stats()["requests"]["attachment_delete"] == {"503": 3}
    assert {row["state"] for row in bench.rows().values()} == {"retention_set"}
    bench.org.break_with()
    bench.move(minutes=2)
    bench.work()
    assert {row["state"] for row in bench.rows().values()} == {"deleted"}
    assert not any(map(bench.there, media))


def test_refused_credentials_stop_the_run_with_their_sentence(bench):
    (media,) = bench.uploaded()
    bench.schedule(media)
    bench.org.break_with({"fault": "revoke_token", "after_calls": 0})
    with pytest.raises(AuthenticationError, match="fresh token"):
        bench.work()
    bench.org.break_with()
    bench.work()
    assert bench.row(media)["state"] == "retention_set"


def test_what_somebody_else_deleted_is_gone_and_nobody_claims_it(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, sha256="ab" * 32)
    bench.org.sandbox.state.messaging.sending.find(media).deleted = True
    bench.work()
    row = bench.row(media)
    assert (row["state"], row["certificate"], row["destroyed_sha256"]) == ("gone", "gone_before", None)


def test_a_duration_the_source_refuses_does_not_keep_us_from_deleting(bench):
    (media,) = bench.uploaded()
    bench.schedule(media, policy=Policy(name="x", why="y", ttl=dt.timedelta(days=1_000), keeps_copy=False))
    bench.work()
    row = bench.row(media)
    assert (row["state"], row["source_retention"], row["reason"]) == ("scheduled", "refused", "bad_retention")
    bench.move(days=1_000, minutes=1)
    bench.work()
    assert bench.row(media)["state"] == "deleted"


@IN_BOTH
def test_a_recording_of_the_guides_is_given_a_minute_when_it_is_due(bench):
    recording, data = bench.org.ordinary(1)[0], b"what we have of it"
    bench.schedule(
        recording,
        Policy(name="month", why="A month.", ttl=dt.timedelta(days=30)),
        kind="recording",
        copy=bench.copied(data, "audio/date=2026-01-01/x.wav.gz", packed=True),
    )
    bench.work()
    assert bench.row(recording)["state"] == "scheduled"
    bench.move(days=30, seconds=1)
    bench.work()
    row = bench.row(recording)
    assert (row["state"], row["reason"], row["source_retention"]) == ("retention_set", "ordered", "1m")
    assert bench.writes("media_retention")[-1]["body"] == {"retention": {"duration": "1m"}}
    bench.move(minutes=2)
    bench.work()
    row = bench.row(recording)
    assert (row["state"], row["certificate"], row["hash_basis"]) == ("deleted", "deleted_by_source", "verified_copy")
    assert row["destroyed_sha256"] == hashlib.sha256(data).hexdigest()


def test_a_published_recording_gets_a_date_in_days_and_is_confirmed_after_it(published):
    bench = published
    recording = bench.org.ordinary(1)[0]
    conversation = bench.org.truth()[recording]["platform"]["conversation_id"]
    due = bench.schedule(recording, NO_COPY, kind="recording", conversation_id=conversation)
    bench.move(**FIFTEEN)
    bench.work()
    row = bench.row(recording)
    assert (row["state"], row["reason"], row["source"]) == ("retention_set", "ordered", "platform")
    assert row["source_delete_date"] >= due
    assert row["source_delete_date"].time() == dt.time()
    assert row["source_retention"] == str(row["source_delete_date"].date())
    assert bench.work().outcomes == {}
    bench.move(days=1)
    bench.work()
    assert (bench.row(recording)["state"], bench.row(recording)["certificate"]) == ("deleted", "deleted_by_source")


def test_a_message_attachment_of_the_published_api_has_its_row_and_no_deletion(published):
    published.schedule("m-1")
    published.work()
    row = published.row("m-1")
    assert (row["state"], row["source_retention"], row["source"]) == ("not_offered", "not_offered", "platform")
    assert published.work().outcomes == {}


@IN_BOTH
def test_an_object_of_ours_is_hashed_and_removed_whatever_the_switch_says(bench):
    bench.store.put("uploads/date=2026-01-01/u.png", b"a picture")
    bench.schedule("uploads/date=2026-01-01/u.png", kind="local_object")
    bench.move(**FIFTEEN)
    bench.work(allowed=False)
    row = bench.row("uploads/date=2026-01-01/u.png")
    assert bench.store.open("uploads/date=2026-01-01/u.png") is None
    assert (row["state"], row["hash_basis"], row["source"]) == ("deleted", "read_before", "local")
    assert row["destroyed_sha256"] == hashlib.sha256(b"a picture").hexdigest()


def test_an_object_that_changed_since_it_was_scheduled_stays(bench):
    bench.store.put("uploads/u.png", b"another picture")
    bench.schedule("uploads/u.png", kind="local_object", sha256=hashlib.sha256(b"a picture").hexdigest())
    bench.move(**FIFTEEN)
    bench.work()
    assert (bench.row("uploads/u.png")["state"], bench.row("uploads/u.png")["reason"]) == ("failed", "changed")
    assert set(bench.store.sizes("uploads/")) == {"uploads/u.png"}


def test_an_object_is_no_copy_of_itself(bench):
    copy = bench.copied(b"a picture", "uploads/u.png")
    bench.schedule("uploads/u.png", WITH_COPY, kind="local_object", copy=copy)
    bench.move(**FIFTEEN)
    bench.work()
    assert (bench.row("uploads/u.png")["state"], bench.row("uploads/u.png")["reason"]) == ("failed", "no_copy")


@pytest.mark.parametrize(
    "key",
    ["audit/x", "tables/t/x", "retention/holds/x.json", "cursors/x", "outbox/x", "../x", "/etc/passwd", "uploads/../b"],
)
def test_what_proves_deletions_cannot_be_scheduled(bench, key):
    with pytest.raises(ValueError, match=r"not an object key|no object that retention"):
        bench.schedule(key, kind="local_object")


def test_again_gives_the_same_bytes(bench):
    """No moment of a run is data."""
    for media in bench.uploaded(3):
        bench.schedule(media, sha256=SHA256)
    bench.work()
    bench.move(minutes=15)
    bench.work()
    (key,) = bench.store.sizes("tables/media_retention/")
    before = bench.store.get_small(key).data
    bench.store.remove("retention/days.json")
    bench.move(days=2)
    bench.work()
    assert bench.store.get_small(key).data == before


def test_a_copy_is_named_by_key_and_hash(bench):
    """The contract of those who schedule."""
    (media,) = bench.uploaded()
    bench.schedule(media, WITH_COPY, copy=Copy(key="uploads/a.wav", sha256=SHA256))
    bench.work()
    assert (bench.row(media)["copy_key"], bench.row(media)["sha256"]) == ("uploads/a.wav", SHA256)
