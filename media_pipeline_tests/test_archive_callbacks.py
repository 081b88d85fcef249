"""Events of the archive from real runs to a real receiver: what is announced, when, how often, and to whom."""

import json
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Witness

from media_pipeline.assets import reports
from media_pipeline.notify.completed_days import begin_check
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline.sensors.archive_callbacks import BROKEN_OFF_SECONDS, NAME
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.paths import checking_key
from media_pipeline_tests.daemon import Daemon
from media_pipeline_tests.harness import DAY, Export, Org
from media_pipeline_tests.notify.delivery_kills import KEY
from media_pipeline_tests.test_cli import run as command


@pytest.fixture(scope="module")
def _ready() -> Iterator[RunningSandbox]:
    with running(SandboxOptions(port=0, bodies="tiny", per_day=40, days=2, end=DAY, transcode_seconds=1)) as sandbox:
        time.sleep(1.1)
        yield sandbox


@pytest.fixture
def org(_ready: RunningSandbox) -> Iterator[Org]:
    """40 recordings a day, all of them ready: its days can be complete."""
    _ready.restore()
    yield Org(_ready)
    _ready.restore()


@pytest.fixture
def told(receiver):
    """Settings of a deployment with a receiver and a key."""
    return {"webhooks": SecretStr(receiver.url), "webhook_key": SecretStr(KEY)}


@pytest.fixture
def daily(org, tmp_path, told):
    return partial(Export.run, org, tmp_path, **told)


@pytest.fixture
def interactions(org, tmp_path, told):
    return partial(Export.run, org, tmp_path, job="interactions_daily", step="recording_thumbnails", **told)


@pytest.fixture
def sensor(org, tmp_path, instance, told):
    return Daemon(org, tmp_path, instance, **told).sensor(NAME)


def audited(done: Export) -> list[dict]:
    path = Path(done.settings.root) / f"audit/date={DAY}/{done.result.run_id}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def lose_object(done: Export, recording_id: str) -> None:
    """So that it has to be fetched anew."""
    (Path(done.settings.root) / done.audio[recording_id]["object_key"]).unlink()


def test_a_complete_day_is_announced_once_signed_and_not_again_by_a_rerun(daily, sensor, receiver):
    done = daily()
    assert done.check_passed
    assert receiver.posts == [], "a run waits for no receiver"
    sensor.tick()
    (post,) = receiver.posts
    message = Witness(KEY).verify(post.body, post.headers)
    assert message["type"] == "day_completed"
    data = message["data"]
    stored = [row for row in done.audio.values() if row["status"] == "stored"]
    assert data["recordings"] == 40
    assert data["by_status"]["stored"] == len(stored)
    assert data["stored_bytes"] == sum(row["stored_size_bytes"] for row in stored)
    assert data["report"] == f"reports/date={DAY}/availability.json"
    assert data["run_id"] == done.result.run_id
    assert {line["correlation_id"] for line in audited(done) if line["event"] == "step_started"} == {
        data["correlation_id"]
    }
    daily()
    sensor.tick()
    assert len(receiver.posts) == 1
    assert "pending 0, dead 0" in sensor.said


def test_a_day_that_changed_is_announced_again(daily, sensor, receiver, org):
    done = daily()
    victim = org.ordinary(1)[0]
    org.break_with({"fault": "not_found", "on": "media", "ids": [victim]})
    lose_object(done, victim)
    again = daily()
    assert again.audio[victim]["status"] == "unavailable"
    sensor.tick()
    first, second = receiver.of_type("day_completed")
    assert first.id != second.id
    stored = {post.message["data"]["by_status"]["stored"] for post in (first, second)}
    now = sum(row["status"] == "stored" for row in again.audio.values())
    assert stored == {now, now + 1}


def test_a_quarantined_recording_is_announced_with_the_audit_logs_correlation_id(daily, sensor, receiver, org):
    victim = org.ordinary(1)[0]
    org.break_with({"fault": "corrupt", "ids": [victim]})
    done = daily()
    assert not done.check_passed
    daily()
    sensor.tick()
    (post,) = receiver.posts
    data = post.message["data"]
    assert post.message["type"] == "recording_quarantined"
    assert (data["recording_id"], data["reason"]) == (victim, "md5_mismatch")
    (line,) = [e for e in audited(done) if e["event"] == "recording_settled" and e["recording_id"] == victim]
    assert data["correlation_id"] == line["correlation_id"]
    org.break_with()
    done = daily()
    assert done.check_passed
    sensor.tick()
    assert [post.message["type"] for post in receiver.posts] == ["recording_quarantined", "day_completed"]
    org.break_with({"fault": "corrupt", "ids": [victim]})
    lose_object(done, victim)
    daily()
    sensor.tick()
    quarantined = receiver.of_type("recording_quarantined")
    assert len({post.id for post in quarantined}) == 2, "well in between: it is news again"


def test_each_interaction_is_announced_in_few_messages_and_not_again(daily, interactions, sensor, receiver):
    daily()
    done = interactions()
    sensor.tick()
    posts = receiver.of_type("metadata_parsed")
    assert len(posts) == 1
    entries = posts[0].message["data"]["interactions"]
    rows = done.rows("interaction_media")
    assert [entry["interaction_id"] for entry in entries] == sorted({row["interaction_id"] for row in rows})
    assert sum(entry["media"] for entry in entries) == len(rows)
    assert len({entry["id"] for entry in entries}) == len(entries)
    lines = {line["interaction_id"]: line for line in audited(done) if line["event"] == "metadata_parsed"}
    for entry in entries:
        line = lines[entry["interaction_id"]]
        assert line["correlation_id"] == entry["correlation_id"]
        assert line["payload_hash"] == entry["payload_sha256"]
        assert line["governance_tag"] == "media_metadata_parsing_v1"
        assert line["latency_ms"] >= 0
        assert line["validations_checked"] >= line["validations_matched"]
    interactions()
    sensor.tick()
    assert len(receiver.of_type("metadata_parsed")) == 1


def test_annotations_are_announced_once_the_org_holds_them_and_again_when_they_change(
    daily, interactions, sensor, receiver, tmp_path, org
):
    daily()
    interactions()
    sensor.tick()
    assert receiver.of_type("metadata_annotated") == [], "nothing was written back"
    done = interactions(allow_write_back=True)
    sensor.tick()
    rows = done.rows("metadata_annotations")
    (post,) = receiver.of_type("metadata_annotated")
    entries = {entry["interaction_id"]: entry for entry in post.message["data"]["interactions"]}
    assert set(entries) == {row["interaction_id"] for row in rows}
    lines = {line["interaction_id"]: line for line in audited(done) if line["event"] == "annotations_submitted"}
    for interaction_id, entry in entries.items():
        assert entry["annotations"] == sum(row["interaction_id"] == interaction_id for row in rows)
        assert entry["annotations_rejected"] == 0
        assert entry["payload_sha256"] == lines[interaction_id]["payload_sha256"]
        assert entry["correlation_id"] == lines[interaction_id]["correlation_id"]
    voice = next(row["interaction_id"] for row in done.rows("interaction_media") if row["media_type"] == "voice")
    inbox = tmp_path / "media/inbox/annotations"
    inbox.mkdir(parents=True)
    line = {"interaction_id": voice, "mediaType": "voice", "format": "wav", "key": "crm.case", "value": "7"}
    too_long = line | {"key": "crm.note", "value": "x" * 2_001}
    (inbox / "calls.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(too_long)}\n")
    interactions(allow_write_back=True)
    sensor.tick()
    _, changed = receiver.of_type("metadata_annotated")
    (entry,) = changed.message["data"]["interactions"]
    assert entry["annotations"] == entries[voice]["annotations"] + 1
    assert (entry["interaction_id"], entry["annotations_rejected"]) == (voice, 1)


def test_an_interaction_that_cannot_be_seen_is_not_announced(daily, interactions, sensor, receiver, org):
    daily()
    victim = org.truth()[org.ordinary(1)[0]]["conversation_id"]
    org.break_with({"fault": "forbidden", "on": "interaction_media", "ids": [victim]})
    interactions()
    org.break_with()
    interactions()
    sensor.tick()
    found = [post.message["data"]["interactions"] for post in receiver.of_type("metadata_parsed")]
    later, first = sorted(found, key=len)
    assert victim not in {entry["interaction_id"] for entry in first}
    assert [entry["interaction_id"] for entry in later] == [victim]


def test_callables_of_the_deployment_hear_in_the_run_and_cannot_break_it(org, tmp_path, capfd):
    heard = []

    def breaks(event):
        raise ZeroDivisionError("by design")

    run = partial(Export.run, org, tmp_path, callbacks={"day_completed": [breaks, heard.append]})
    assert run().result.success
    (event,) = heard
    assert (event.type, event.day) == ("day_completed", DAY)
    assert run().result.success
    assert len(heard) == 1
    assert list(LocalStore(tmp_path / "media").sizes("outbox/")) == [], "nobody to post to: nothing piles up"


def test_a_day_whose_run_was_killed_before_it_was_announced_is_announced_by_the_sensor(
    daily, sensor, receiver, tmp_path, monkeypatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reports, "announce_day", killed)
    assert not daily().result.success
    monkeypatch.undo()
    sensor.tick()
    assert receiver.posts == [], "the run could still be at it"
    note = tmp_path / "media" / checking_key(DAY)
    os.utime(note, (time.time(), time.time() - BROKEN_OFF_SECONDS - 1))
    sensor.tick()
    (post,) = receiver.posts
    assert post.message["type"] == "day_completed"
    assert not note.exists()
    daily()
    sensor.tick()
    assert len(receiver.posts) == 1


def test_a_day_that_cannot_be_judged_holds_up_no_delivery(daily, sensor, receiver, tmp_path):
    daily()
    store = LocalStore(tmp_path / "media")
    table = f"tables/recording_audio/date={DAY}/part-0.parquet"
    whole = store.get_small(table).data
    store.put(table, b"torn")
    begin_check(store, DAY, "killed")
    note = tmp_path / "media" / checking_key(DAY)
    os.utime(note, (time.time(), time.time() - BROKEN_OFF_SECONDS - 1))
    sensor.tick()
    assert len(receiver.of_type("day_completed")) == 1
    assert note.exists(), "it is made up for once the table is well again"
    store.put(table, whole)
    sensor.tick()
    assert not note.exists()


def test_without_webhooks_nothing_is_kept_and_the_sensor_says_why(org, tmp_path, instance):
    Export.run(org, tmp_path)
    store = LocalStore(tmp_path / "media")
    assert [key for prefix in ("outbox/", "announced/") for key in store.sizes(prefix)] == []
    sensor = Daemon(org, tmp_path, instance).sensor(NAME)
    sensor.tick()
    assert "MEDIA_WEBHOOKS is not set" in sensor.said


def test_a_webhook_that_is_none_fails_no_run(org, tmp_path):
    assert Export.run(org, tmp_path, webhooks=SecretStr("hooks.example/T0P-SECRET")).result.success


def test_messages_are_listed_retried_dropped_and_delivered_by_command(daily, receiver, tmp_path):
    daily()
    variables = {"MEDIA_WEBHOOKS": receiver.url, "MEDIA_WEBHOOK_KEY": KEY}
    callbacks = partial(command, "callbacks", folder=tmp_path, **variables)
    receiver.status = 410

    listed = callbacks("list")
    assert listed.returncode == 0, listed.stderr
    assert "day_completed" in listed.stdout
    assert "Messages: 1 pending." in listed.stdout
    assert "127.0.0.1" in listed.stdout
    failed = callbacks("deliver")
    assert failed.returncode == 1
    assert "the webhook at 127.0.0.1 answered 410" in failed.stderr
    listed = callbacks("list", "--json")
    assert listed.returncode == 1
    (entry,) = json.loads(listed.stdout)["messages"]
    assert (entry["state"], entry["attempts"], entry["host"]) == ("dead", 1, "127.0.0.1")
    assert callbacks("retry").returncode == 2, "ids or --all"
    for way in ("retry", "drop"):
        unknown = callbacks(way, "no-such-id")
        assert unknown.returncode == 1
        assert "No message that is pending or dead has the id 'no-such-id'" in unknown.stderr
    assert "1 message(s) are due now" in callbacks("retry", entry["id"]).stdout
    receiver.status = 204
    assert "1 delivered, 0 not taken, 0 dead" in callbacks("deliver").stdout
    assert callbacks("drop", "--all-dead").returncode == 0
    everything = "".join(done.stdout + done.stderr for done in (listed, failed, callbacks("list", "--all")))
    assert "T0P-SECRET" not in everything
    assert KEY not in everything
    assert "delivered" in everything


def test_commands_without_webhooks_say_so(tmp_path):
    done = command("callbacks", "deliver", folder=tmp_path)
    assert done.returncode == 2
    assert "MEDIA_WEBHOOKS is not set" in done.stderr
    listed = command("callbacks", "list", folder=tmp_path)
    assert listed.returncode == 0
    assert "none was ever announced" in listed.stdout
