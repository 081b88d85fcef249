"""metadata_annotations over real HTTP, in both dialects: what is said, what is rejected, what the org was told."""

import hashlib
import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_pipeline.interactions.inbox import MAX_LINE_BYTES, Inbox, shown_name
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.harness import DAY, Export, Org

PREFIX = "automated_parser."
BOTH = pytest.mark.parametrize("dialect", ["guide", "platform"])


def annotating(org: Org, folder: Path, **options: Any) -> Export:
    """One run of interactions_daily in the root that `export` writes, without waits between submissions."""
    options = {"config": {"seconds_between": 0.0}, "allow_write_back": True} | options
    return Export.run(org, folder, job="interactions_daily", step="metadata_annotations", **options)


@pytest.fixture
def annotate(tmp_path):
    return partial(annotating, folder=tmp_path)


@pytest.fixture
def hand_in(tmp_path):
    """Put lines into a file of the inbox; those that are no text become JSON."""

    def put(*lines: Any, name: str = "calls.jsonl", folder: Path | None = None) -> None:
        folder = folder or tmp_path / "media/inbox"
        path = folder / "annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines))

    return put


def line(interaction_id: str, key: str = "crm.case", value: str = "case-7", **more: Any) -> dict[str, Any]:
    return {"interaction_id": interaction_id, "key": key, "value": value, "mediaType": "voice", "format": "wav"} | more


def rows_of(done: Export) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["interaction_id"], row["annotation_key"]): row for row in done.rows("metadata_annotations")}


def told(org: Org) -> dict[str, Any]:
    return httpx.get(f"{org.url}/_sandbox/annotations").json()


def effective(org: Org) -> dict[str, dict[str, str]]:
    """Values by interaction and key, whichever side they were written on; asserts that one participant bears them."""
    shown = told(org)
    found = {i: {a["key"]: a["value"] for a in body["annotations"]} for i, body in shown["metadata"].items()}
    for conversation, participants in shown["attributes"].items():
        (bearer,) = [held for held in participants.values() if held]
        found[conversation] = {name.removeprefix(PREFIX): value for name, value in bearer.items()}
    return found


def table_says(done: Export) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in done.rows("metadata_annotations"):
        if row["outcome"] in ("sent", "unchanged"):
            found.setdefault(row["interaction_id"], {})[row["annotation_key"]] = row["value"]
    return found


def metadata_of(done: Export) -> dict[str, Any]:
    return done.result.asset_materializations_for_node("metadata_annotations")[0].metadata


def check_of(done: Export) -> Any:
    (found,) = (c for c in done.result.get_asset_check_evaluations() if c.check_name == "annotations_settled")
    return found


def seen_of(done: Export, org: Org) -> str:
    """Everything that was written anywhere, but for what was handed in."""
    inbox = [path.read_text(errors="replace") for path in Path(done.settings.root).glob("inbox/**/*.jsonl")]
    text = done.all_text + json.dumps(told(org))
    for each in inbox:
        text = text.replace(each, "")
    return text


def conversations(org: Org) -> list[str]:
    """Of ordinary calls, in a fixed order."""
    truth = org.truth()
    return sorted({truth[i]["conversation_id"] for i in org.ordinary(20)} - {None})


def interactions_of(done: Export) -> list[str]:
    return sorted({row["interaction_id"] for row in done.rows("interaction_media")})


def voice(done: Export) -> list[str]:
    """Interactions with a recording of a call whose digest the org was told."""
    told = rows_of(done)
    calls = [row["interaction_id"] for row in done.rows("interaction_media") if row["media_type"] == "voice"]
    return [each for each in calls if (each, "archive.sha256") in told]


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


def test_every_line_is_taken_or_refused_with_its_place(org, export, annotate, hand_in):
    export(org)
    first, second, third = voice(annotate(org))[:3]
    lines = [
        line(first, "ok"),
        line(first, "bad key", "v"),
        line(first, "long", "ü" * 2_001),
        line(first, "as_long_as_may_be", "ü" * 2_000),
        line(first, "format", format="mp4"),
        line(first, "format.any", mediaType="message", format="heic"),
        line(first, "format.written_otherwise", format="audio/x-wav"),
        line(first, "format.none", format=""),
        line(first, "number", 7),
        line(first, "unknown", colour="red"),
        line(first, "archive.sha256", "forged"),
        line(first, "token", "Authorization: Bearer abcdefghijk"),
        line(first, "torn", "\ud800"),
        line(second, "twice", "old"),
        line(second, "twice", "new"),
        line("nobody", "lost", "?"),
        "",
        "{not json",
        "[1]",
        '{"key": "k", "value": "v"}',
        "[" * 60_000,
        '{"interaction_id": "' + "x" * 70_000,
    ]
    hand_in(*lines)
    hand_in(line(third, "crm.case", "from the second file"), name="later.jsonl")
    hand_in("", name="notes.txt")
    done = annotate(org)
    assert done.result.success
    rows = rows_of(done)
    outcome = {key: (row["outcome"], row["reason"]) for (i, key), row in rows.items() if i == first}
    assert outcome["calls.jsonl:2"] == ("rejected", "bad_key")
    for key, reason in {
        "long": "too_long",
        "format": "format_mismatch",
        "format.none": "format_mismatch",
        "number": "bad_field",
        "unknown": "bad_field",
        "calls.jsonl:11": "reserved_key",
        "token": "secret",
        "torn": "bad_text",
    }.items():
        assert outcome[key] == ("rejected", reason), key
        assert rows[first, key]["detail"].startswith("calls.jsonl:")
        assert rows[first, key]["value"] is None
    for key in ("ok", "as_long_as_may_be", "format.any", "format.written_otherwise"):
        assert outcome[key] == ("sent", None), key
    assert rows[first, "archive.sha256"]["value"] != "forged"
    assert rows[second, "twice"]["value"] == "new"
    assert rows[third, "crm.case"]["value"] == "from the second file"
    metadata = metadata_of(done)
    assert metadata["inbox_lines"].value == 22
    assert metadata["inbox_lines_superseded"].value == 1
    assert metadata["inbox_lines_of_other_interactions"].value == 1
    assert metadata["inbox_refused"].value == 6
    problems = str(metadata["inbox_problems"].value)
    for place in ("line 18", "line 19", "line 20", "line 21", "line 22", "notes.txt"):
        assert place in problems
    assert effective(org) == table_says(done)
    assert "Bearer abc" not in seen_of(done, org)


def test_one_personal_detail_rejects_all_that_was_handed_in_for_its_interaction(org, export, annotate, hand_in):
    export(org)
    first, second = voice(annotate(org))[:2]
    planted = {
        "crm.phone": "415-555-0132",
        "crm.mail": "ann.lee@example.com",
        "crm.ssn": "536-22-8145",
        "crm.card": "4111 1111 1111 1111",
    }
    hand_in(*(line(first, key, value) for key, value in planted.items()), line(first, "crm.case"), line(second))
    done = annotate(org)
    rows = rows_of(done)
    for key in (*planted, "crm.case"):
        assert (rows[first, key]["outcome"], rows[first, key]["reason"]) == ("rejected", "pii")
        assert rows[first, key]["value"] is None
    assert rows[second, "crm.case"]["outcome"] == "sent"
    assert all(key.startswith("archive.") for key in effective(org)[first])
    for value in planted.values():
        assert value not in seen_of(done, org)
    hand_in(*(line(first, key, "known") for key in planted), name="mended.jsonl")
    mended = annotate(org)
    assert {rows_of(mended)[first, key]["outcome"] for key in planted} == {"sent"}


def test_a_key_with_personal_data_is_not_told_either(org, export, annotate, hand_in):
    export(org)
    target = voice(annotate(org))[0]
    hand_in(line(target, "phone.415-555-0132", "x"))
    done = annotate(org)
    assert rows_of(done)[target, "calls.jsonl:1"]["reason"] == "pii"
    assert "415-555-0132" not in seen_of(done, org)


@pytest.mark.parametrize("name", ["calls_415-555-0132.jsonl", "ann.lee@example.com.jsonl", "x_4111111111111111.jsonl"])
def test_a_files_name_with_personal_data_is_not_told(name):
    assert shown_name(name) == "(a file whose name holds personal data)"
    assert shown_name("calls_2026-11-20_part-0001.jsonl") == "calls_2026-11-20_part-0001.jsonl"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_may_have_all_its_bytes_and_not_one_more(tmp_path, end):
    store = LocalStore(tmp_path)
    empty = json.dumps(line("c", value="")).encode()
    whole = empty.replace(b'"value": ""', b'"value": "' + b"x" * (MAX_LINE_BYTES - len(empty)) + b'"')
    assert len(whole) == MAX_LINE_BYTES
    refused: list[tuple[Any, ...]] = []
    for content, reasons in ((whole, ["too_long"]), (whole + b" ", [])):
        store.put("a/calls.jsonl", content + end)
        inbox = Inbox(store, "a/", lambda *what: refused.append(what))
        assert [row["reason"] for row in inbox.rows({"c"})] == reasons
    ((name, number, why),) = refused
    assert (name, number) == ("calls.jsonl", 1)
    assert "more than 65,536 bytes" in why


def test_the_inbox_may_lie_elsewhere(org, export, annotate, hand_in, tmp_path):
    export(org)
    target = voice(annotate(org))[0]
    hand_in(line(target), folder=tmp_path / "elsewhere")
    done = annotate(org, inbox=str(tmp_path / "elsewhere"))
    assert rows_of(done)[target, "crm.case"]["outcome"] == "sent"


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


def test_what_was_measured_is_not_measured_again(speaking_org, export, annotate):
    export(speaking_org)
    first = annotate(speaking_org)
    again = annotate(speaking_org)
    assert metadata_of(first)["objects_measured"].value > 0
    assert metadata_of(again)["objects_measured"].value == 0
    assert metadata_of(again)["objects_measured_earlier"].value == metadata_of(first)["objects_measured"].value
    values = ({k: r["value"] for k, r in rows_of(done).items()} for done in (first, again))
    assert next(values) == next(values)


def test_derived_figures_are_those_of_the_recordings(speaking_org, export, annotate):
    export(speaking_org)
    done = annotate(speaking_org)
    rows, truth = rows_of(done), speaking_org.truth()
    single = Counter(row["interaction_id"] for row in done.rows("interaction_media"))
    checked = Counter()
    for recording_id, record in truth.items():
        interaction_id = record["conversation_id"]
        if single[interaction_id] != 1:
            continue
        values = {key: row["value"] for (i, key), row in rows.items() if i == interaction_id}
        if done.audio[recording_id]["status"] != "stored":
            assert "archive.sha256" not in values
            continue
        checked[record["kind"]] += 1
        assert values["archive.sha256"] == record["sha256"]
        assert float(values["archive.duration_seconds"]) == pytest.approx(record["duration_seconds"], abs=0.15)
        assert 0.0 <= float(values["archive.silence_ratio"]) < 0.6
        for channel in (0, 1):
            assert -40 < float(values[f"archive.level_dbfs.{channel}"]) < -10
            assert float(values[f"archive.silence_ratio.{channel}"]) >= float(values["archive.silence_ratio"])
        assert float(values["archive.clipping_ratio"]) < 0.001
        if record["transcript"] == "available":
            assert 0.5 < float(values["archive.transcript_coverage"]) <= 1.0
        else:
            assert "archive.transcript_coverage" not in values
    assert {"ordinary", "dotted", "mixed_case"} <= set(checked)  # WAV, MP3, Ogg


def test_a_day_without_its_media_says_what_to_materialize(org, tmp_path):
    import dagster as dg

    from media_pipeline.build import build_definitions
    from media_pipeline_tests.harness import NO_RETRY, resources_for, settings_for

    settings = settings_for(org.url, tmp_path)
    definitions = build_definitions(settings, resources=resources_for(settings), retry=NO_RETRY)
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        partition_key=str(DAY), asset_selection=[dg.AssetKey("metadata_annotations")], raise_on_error=False
    )
    assert not result.success
    failure = result.failure_data_for_node("metadata_annotations")
    assert "materialize interaction_media for that day first" in str(failure.error)


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
