"""metadata_annotations over real HTTP, in both dialects: what the org is told, once, and what it refuses."""

import hashlib
import json
from collections import Counter

from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.annotations.conftest import (
    BOTH,
    check_of,
    conversations,
    effective,
    interactions_of,
    line,
    metadata_of,
    rows_of,
    table_says,
    told,
    voice,
)
from media_pipeline_tests.harness import DAY


@BOTH
def test_each_interaction_bears_what_the_table_says(speaking_org, export, annotate, hand_in, dialect):
    exported = export(speaking_org, dialect=dialect)
    calls = [row["conversation_id"] for row in exported.rows("recording_inventory") if row["media_type"] == "call"]
    target = sorted(filter(None, calls))[0]
    hand_in(line(target, "media.quality_score", "0.89", category="analytics"))
    done = annotate(speaking_org, dialect=dialect)
    assert done.result.success
    assert effective(speaking_org) == table_says(done)
    assert set(effective(speaking_org)) == set(interactions_of(done))
    rows = rows_of(done)
    handed_in = rows[target, "media.quality_score"]
    assert (handed_in["value"], handed_in["category"], handed_in["origin"]) == ("0.89", "analytics", "user")
    assert Counter(row["outcome"] for row in rows.values()) == {"sent": len(rows)}
    assert list(rows) == sorted(rows)
    stored = {row["sha256"]: row["object_key"] for row in done.rows("recording_audio") if row["sha256"]}
    for (interaction_id, key), row in rows.items():
        if key.endswith("sha256"):
            assert stored[row["value"]] == rows[interaction_id, key.replace("sha256", "object_key")]["value"]
    assert done.tables.read("metadata_annotations", DAY).schema.equals(TABLES["metadata_annotations"])


def test_the_payload_is_the_guides_and_its_hash_can_be_made_by_anyone(org, export, annotate):
    export(org)
    done = annotate(org)
    hashes = {row["interaction_id"]: row["payload_sha256"] for row in done.rows("metadata_annotations")}
    for interaction_id, body in told(org)["metadata"].items():
        assert body["source"] == "automated_parser"
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(canonical.encode()).hexdigest() == hashes[interaction_id]


@BOTH
def test_what_the_org_holds_is_not_sent_again_and_a_change_is_sent_alone(org, export, annotate, hand_in, dialect):
    export(org, dialect=dialect)
    first = annotate(org, dialect=dialect)
    writes = len(told(org)["writes"])
    assert writes == len(interactions_of(first))
    org.forget_stats()
    again = annotate(org, dialect=dialect)
    assert {row["outcome"] for row in again.rows("metadata_annotations")} == {"unchanged"}
    assert len(told(org)["writes"]) == writes
    asked = org.stats()["requests"]
    assert not {"interaction_metadata", "participant_attributes", "conversation"} & set(asked)
    before = again.bytes_of(f"tables/metadata_annotations/date={DAY}/part-0.parquet")
    third = annotate(org, dialect=dialect)
    assert third.bytes_of(f"tables/metadata_annotations/date={DAY}/part-0.parquet") == before
    target = voice(first)[0]
    hand_in(line(target))
    changed = annotate(org, dialect=dialect)
    outcomes = {row["interaction_id"]: row["outcome"] for row in changed.rows("metadata_annotations")}
    assert [i for i, outcome in outcomes.items() if outcome == "sent"] == [target]
    assert len(told(org)["writes"]) == writes + 1
    assert effective(org)[target]["crm.case"] == "case-7"


@BOTH
def test_what_is_withdrawn_is_in_effect_no_more(org, export, annotate, hand_in, dialect, tmp_path):
    export(org, dialect=dialect)
    target = voice(annotate(org, dialect=dialect))[0]
    hand_in(line(target))
    annotate(org, dialect=dialect)
    (tmp_path / "media/inbox/annotations/calls.jsonl").unlink()
    done = annotate(org, dialect=dialect)
    assert "crm.case" not in effective(org)[target]
    assert effective(org) == table_says(done)


@BOTH
def test_with_nothing_known_the_org_ends_with_one_set_all_the_same(org, export, annotate, dialect, tmp_path):
    export(org, dialect=dialect)
    first = annotate(org, dialect=dialect)
    (ledger,) = tmp_path.glob("media/write_back/*/*.jsonl")
    ledger.unlink()
    done = annotate(org, dialect=dialect)
    assert effective(org) == table_says(done) == table_says(first)
    outcome = {"guide": "sent", "platform": "unchanged"}[dialect]  # attributes can be read before they are written
    assert {row["outcome"] for row in done.rows("metadata_annotations")} == {outcome}


@BOTH
def test_nothing_is_sent_unless_it_is_allowed(org, export, annotate, dialect):
    export(org, dialect=dialect)
    org.forget_stats()
    done = annotate(org, dialect=dialect, allow_write_back=False)
    assert {(r["outcome"], r["reason"]) for r in done.rows("metadata_annotations")} == {
        ("would_send", "write_back_off")
    }
    assert told(org) == {"metadata": {}, "attributes": {}, "writes": []}
    assert not {"interaction_metadata", "participant_attributes", "conversation"} & set(org.stats()["requests"])
    annotate(org, dialect=dialect)
    done = annotate(org, dialect=dialect, allow_write_back=False)
    assert {row["outcome"] for row in done.rows("metadata_annotations")} == {"unchanged"}


FAULTS = [
    ({"fault": "conflict"}, "conflict", "conflict"),
    ({"fault": "conflict", "code": 412}, "conflict", "conflict"),
    ({"fault": "not_found"}, "failed", "no_interaction"),
    ({"fault": "forbidden"}, "failed", "forbidden"),
    ({"fault": "server_error"}, "failed", "server_error"),
    ({"fault": "rate_limit", "wait": 0}, "failed", "rate_limited"),
    ({"fault": "not_json"}, "failed", "bad_reply"),
]


@BOTH
def test_a_refusal_costs_one_interaction_and_heals(org, export, annotate, dialect):
    export(org, dialect=dialect)
    operation = {"guide": "interaction_metadata", "platform": "participant_attributes"}[dialect]
    victims = conversations(org)[: len(FAULTS)]
    org.break_with(
        *({"on": [operation], "ids": [i], **fault} for i, (fault, _, _) in zip(victims, FAULTS, strict=True))
    )
    done = annotate(org, dialect=dialect)
    assert done.result.success
    rows = done.rows("metadata_annotations")
    for victim, (fault, outcome, reason) in zip(victims, FAULTS, strict=True):
        of_victim = [row for row in rows if row["interaction_id"] == victim]
        assert {(row["outcome"], row["reason"]) for row in of_victim} == {(outcome, reason)}, fault
        assert all(row["detail"] and row["value"] is not None for row in of_victim)
        assert victim not in effective(org)
    assert {row["outcome"] for row in rows if row["interaction_id"] not in victims} == {"sent"}
    assert metadata_of(done)["interactions_conflict"].value == 2
    assert metadata_of(done)["interactions_failed"].value == len(FAULTS) - 2
    assert "conflict" in str(metadata_of(done)["to_do"].value)
    check = check_of(done)
    assert not check.passed
    said = check.description
    assert f"The annotations of {len(FAULTS)} of {len(interactions_of(done))} interactions did not arrive" in said
    assert "2 conflict, 1 failed (bad_reply), 1 failed (forbidden), 1 failed (no_interaction)" in said
    assert [victim in said for victim in victims] == [True] * 5 + [False] * 2, "the first ids in the table's order"
    assert check.metadata["interactions_unsettled"].value == len(FAULTS)
    org.break_with()
    healed = annotate(org, dialect=dialect)
    assert check_of(healed).passed
    outcomes = {row["interaction_id"]: row["outcome"] for row in healed.rows("metadata_annotations")}
    assert {i for i, outcome in outcomes.items() if outcome == "sent"} == set(victims)
    assert effective(org) == table_says(healed)


@BOTH
def test_a_bad_patch_is_retried_and_a_lost_reply_does_no_harm(org, export, annotate, dialect):
    export(org, dialect=dialect)
    operation = {"guide": "interaction_metadata", "platform": "participant_attributes"}[dialect]
    slow, lost, failing = conversations(org)[:3]
    org.break_with(
        {"fault": "rate_limit", "on": [operation], "ids": [slow], "times": 2, "wait": 0},
        {"fault": "reset", "on": [operation], "ids": [lost], "times": 1, "headers": False},
        {"fault": "server_error", "on": [operation], "ids": [failing], "times": 2},
    )
    done = annotate(org, dialect=dialect)
    assert {row["outcome"] for row in done.rows("metadata_annotations")} == {"sent"}
    assert effective(org) == table_says(done)
    writes = Counter(each["interaction_id"] for each in told(org)["writes"])
    assert (writes[slow], writes[lost], writes[failing]) == (1, 2, 1)


def test_what_the_org_refuses_is_rejected_with_its_words(org, export, annotate, hand_in):
    export(org)
    target = voice(annotate(org))[0]
    hand_in(*(line(target, f"note.{n:03}", "x" * 2_000) for n in range(1_200)))
    done = annotate(org)
    of_target = [row for row in done.rows("metadata_annotations") if row["interaction_id"] == target]
    assert {(row["outcome"], row["reason"]) for row in of_target} == {("rejected", "refused")}
    assert "HTTP 400" in of_target[0]["detail"]
    assert "1 rejected (refused)" in check_of(done).description
    assert "note.000" not in effective(org)[target]


def test_what_participant_attributes_cannot_take_is_rejected_alone(org, export, annotate, hand_in):
    export(org, dialect="platform")
    target = voice(annotate(org, dialect="platform"))[0]
    hand_in(
        line(target, "long", "x" * 257),
        line(target, "fits", "x" * 256),
        line(target, "empty", ""),
        line(target, "k" * 300, "v"),
    )
    done = annotate(org, dialect="platform")
    rows = rows_of(done)
    wanted = {
        "long": ("rejected", "too_long_for_platform"),
        "fits": ("sent", None),
        "empty": ("rejected", "empty_value"),
        "k" * 300: ("rejected", "too_long_for_platform"),
    }
    for key, outcome in wanted.items():
        assert (rows[target, key]["outcome"], rows[target, key]["reason"]) == outcome
    assert effective(org) == table_says(done)
    assert check_of(done).passed, "what was never sent is no failure of the org's"


def test_what_was_sent_and_when_is_in_the_audit_log(org, export, annotate, tmp_path):
    export(org)
    done = annotate(org)
    events = [
        event
        for path in tmp_path.glob("media/audit/*/*.jsonl")
        for event in map(json.loads, path.read_text().splitlines())
        if event["event"] == "annotations_submitted"
    ]
    hashes = {row["interaction_id"]: row["payload_sha256"] for row in done.rows("metadata_annotations")}
    assert {event["interaction_id"]: event["payload_sha256"] for event in events} == hashes
    assert {event["outcome"] for event in events} == {"sent"}
    assert all(event["timestamp"] for event in events)


def test_inbox_and_ledger_may_lie_in_a_bucket(org, export, annotate, s3_root):
    export(org, root=s3_root)
    first = annotate(org, root=s3_root)
    target = voice(first)[0]
    first.tables.store.put("inbox/annotations/calls.jsonl", json.dumps(line(target)).encode())
    writes = len(told(org)["writes"])
    done = annotate(org, root=s3_root)
    assert rows_of(done)[target, "crm.case"]["outcome"] == "sent"
    assert len(told(org)["writes"]) == writes + 1
    assert effective(org) == table_says(done)
