"""The marts' numbers are those that pandas computes from the tables, in the DuckDB file and in the Parquet files."""

import datetime as dt
import math

import numpy as np  # noqa: TID253 - no code server imports a test
import pandas as pd  # noqa: TID253 - no code server imports a test
import pytest

from media_pipeline.genesys.pacing import NO_API_CALLS
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.runs import EXPORT_STEPS
from media_pipeline_tests.reports.conftest import DAYS, EMPTY_DAY, MARTS, Root

KEY = ["date", "recording_id", "file_index"]
STATUSES = ["available", "unsupported", "empty", "unavailable", "pending", "quarantined", "failed"]
OPEN = ["pending", "quarantined", "failed"]
AGE_GROUPS = [(1, "up to 1 day"), (7, "2 to 7 days"), (30, "8 to 30 days"), (math.inf, "over 30 days")]


def rate(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def exported(root: Root) -> list[dt.date]:
    return sorted({dt.date.fromisoformat(p.name[5:]) for p in root.path.glob("tables/availability_report/*")})


def availability(root: Root) -> list[dict]:
    report = root.table("availability_report")
    rows, counts = [], {}
    for day in exported(root):
        files = report[report["date"] == day]
        available = files[files["status"] == "available"]
        row = {"date": day, "listed": len(files)} | {s: int((files["status"] == s).sum()) for s in STATUSES}
        row["expected"] = row["listed"] - row["unsupported"] - row["empty"] - row["unavailable"]
        row["unsettled"] = sum(row[status] for status in OPEN)
        row["is_settled"] = row["unsettled"] == 0
        row["availability_rate"] = rate(row["available"], row["expected"])
        counts[day] = row["available"], row["expected"]
        week = [counts[d] for d in counts if day - dt.timedelta(days=6) <= d]
        row["availability_rate_7_days"] = rate(sum(a for a, _ in week), sum(e for _, e in week))
        reasons = files[files["status"].isin(OPEN)]["reason"].value_counts()
        row["main_reason"] = min(reasons[reasons == reasons.max()].index) if len(reasons) else None
        row["conversations"] = files["conversation_id"].nunique()
        row["with_transcript"] = int(available["has_transcript"].sum())
        row["transcript_rate"] = rate(row["with_transcript"], row["available"])
        row["listed_bytes"] = int(files["size_bytes"].sum())
        row["available_bytes"] = int(available["size_bytes"].sum())
        row["first_created_at"], row["last_created_at"] = files["created_at"].min(), files["created_at"].max()
        rows.append(row)
    return rows


def storage(root: Root) -> list[dict]:
    listed = root.table("recording_inventory").merge(root.table("recording_audio"), on=KEY, how="left")
    stored = listed["status"] == "stored"
    listed["source"] = listed["source_size_bytes"].where(stored, 0).astype("int64")
    listed["stored"] = listed["stored_size_bytes"].where(stored, 0).astype("int64")
    listed["known_seconds"] = listed["duration_seconds"].fillna(0.0)
    grouped = listed.groupby(["date", "media_type", "format"], dropna=False).agg(
        recordings=("recording_id", "size"),
        source_bytes=("source", "sum"),
        stored_bytes=("stored", "sum"),
        duration_seconds=("known_seconds", "sum"),
    )
    grouped.insert(3, "saved_bytes", grouped["source_bytes"] - grouped["stored_bytes"])
    grouped.insert(4, "compression_ratio", (grouped["source_bytes"] / grouped["stored_bytes"]).astype(object))
    summed = ["recordings", "source_bytes", "stored_bytes", "saved_bytes", "duration_seconds"]
    running = grouped.groupby(["media_type", "format"], dropna=False)[summed].cumsum().add_suffix("_to_date")
    table = grouped.join(running[[f"{name}_to_date" for name in summed]]).reset_index()
    before = table["stored_bytes_to_date"] - table["stored_bytes"]
    table["growth_rate"] = (table["stored_bytes"] / before.where(before > 0)).astype(object)
    table["stored_bytes_7_days"] = [_of_last_week(table, row) for row in table.to_dict("records")]
    before = table["stored_bytes_to_date"] - table["stored_bytes_7_days"]
    table["growth_rate_7_days"] = (table["stored_bytes_7_days"] / before.where(before > 0)).astype(object)
    return table.sort_values(["date", "media_type", "format"], na_position="last").to_dict("records")


def _of_last_week(table: pd.DataFrame, row: dict) -> int:
    same = [table[name].isna() if pd.isna(row[name]) else table[name] == row[name] for name in ("media_type", "format")]
    age = pd.Series([(row["date"] - day).days for day in table["date"]])
    return int(table["stored_bytes"][same[0] & same[1] & age.between(0, 6)].sum())


def facts(root: Root) -> list[dict]:
    listed = root.table("recording_inventory")[
        [
            *(*KEY, "conversation_id", "media_type", "format", "started_at", "duration_seconds", "file_state"),
            *("agent_ids", "queue_ids"),
        ]
    ]
    audio = root.table("recording_audio").rename(
        columns={"source_size_bytes": "source_bytes", "stored_size_bytes": "stored_bytes"}
    )
    audio["is_stored"] = audio["status"] == "stored"
    audio["compression_ratio"] = audio["source_bytes"] / audio["stored_bytes"]
    names = ["status", "reason", "is_stored", "object_key", "content_type", "source_bytes", "stored_bytes"]
    names += ["compression_ratio", "sha256", "integrity_basis"]
    transcripts = root.table("transcript_status").rename(columns={"status": "transcript_status"})
    said = root.table("diarized_transcripts")
    said["seconds"] = (said["end_ms"] - said["start_ms"]) / 1000
    said["words"] = said["text"].str.split().str.len()
    said["side"] = said["participant_purpose"].fillna(said["speaker"])
    talk = said.groupby(["date", "recording_id"]).agg(
        words=("words", "sum"), speech_seconds=("seconds", "sum"), speakers=("speaker", "nunique")
    )
    for side in ("customer", "agent"):
        talk[f"{side}_seconds"] = said[said["side"] == side].groupby(["date", "recording_id"])["seconds"].sum()
    talk["pii_redacted"] = said.groupby(["date", "recording_id"])["pii_redacted"].sum()
    runs = costs(root).dropna(subset=["recording_id"])
    effort = runs.groupby(KEY).agg(
        runs=("run_id", "nunique"),
        attempts=("attempts", "sum"),
        bytes_fetched=("bytes_fetched", "sum"),
        transfer_seconds=("seconds", "sum"),
    )
    table = (
        listed.merge(audio[KEY + names], on=KEY, how="left")
        .merge(transcripts[["date", "recording_id", "transcript_status", "segments"]], how="left")
        .merge(talk.reset_index(), on=["date", "recording_id"], how="left")
        .merge(effort.reset_index().astype({"file_index": "int32"}), on=KEY, how="left")
        .sort_values(KEY)
    )
    counted = ["segments", *effort.columns]
    table[counted] = table[counted].fillna(0)
    order = [*KEY[:2], "conversation_id", "file_index", *table.columns[4:]]
    return table[order].to_dict("records")


def talk(root: Root) -> list[dict]:
    """By counting the milliseconds themselves."""
    said = root.table("diarized_transcripts")
    lengths = root.table("recording_inventory").groupby(["date", "recording_id"])["duration_seconds"].max()
    rows = []
    for (day, recording_id), segments in said.sort_values("speaker").groupby(["date", "recording_id"]):
        heard = {
            speaker: set().union(*(range(s, e) for s, e in zip(own["start_ms"], own["end_ms"], strict=True)))
            for speaker, own in segments.groupby("speaker")
        }
        spoken = set().union(*heard.values())
        length = lengths.get((day, recording_id))
        length = max(int(segments["end_ms"].max()), 0 if pd.isna(length) else round(length * 1000))
        for speaker, own in segments.groupby("speaker"):
            others = set().union(*(times for other, times in heard.items() if other != speaker))
            sides = set(own["participant_purpose"].fillna(own["speaker"]))
            rows.append(
                {
                    "date": day,
                    "recording_id": recording_id,
                    "speaker": speaker,
                    "side": next(iter(sides)) if len(sides) == 1 and sides <= {"agent", "customer"} else None,
                    "segments": len(own),
                    "turns": sum(1 for ms in heard[speaker] if ms - 1 not in heard[speaker]),
                    "words": int(own["text"].str.split().str.len().sum()),
                    "talk_seconds": len(heard[speaker]) / 1000,
                    "overlap_seconds": len(heard[speaker] & others) / 1000,
                    "talk_share": rate(len(heard[speaker]), sum(map(len, heard.values()))),
                    "recording_seconds": length / 1000,
                    "spoken_seconds": len(spoken) / 1000,
                    "silence_seconds": (length - len(spoken)) / 1000,
                }
            )
    return rows


def costs(root: Root) -> pd.DataFrame:
    """What exports cost, without other work of their days."""
    runs = root.table("export_runs")
    return runs[runs["step"].isin(EXPORT_STEPS)]


def throughput(root: Root) -> list[dict]:
    runs = costs(root)
    rows = []
    for day in exported(root):
        mine = runs[runs["date"] == day]
        calls = mine[mine["calls"].notna()]
        media = calls["operation"].isin(NO_API_CALLS)
        bad = (calls["http_status"] == 0) | (calls["http_status"] >= 400)
        row = {
            "date": day,
            "recordings": int((root.table("recording_inventory")["date"] == day).sum()),
            "runs": mine["run_id"].nunique(),
            "worked_on": len(mine.dropna(subset=["recording_id"]).drop_duplicates(["recording_id", "file_index"])),
            "attempts": int(mine["attempts"].sum()),
            "bytes_fetched": int(mine["bytes_fetched"].sum()),
            "transfer_seconds": float(mine["seconds"].sum()),
            "api_calls": int(calls[~media]["calls"].sum()),
            "media_calls": int(calls[media]["calls"].sum()),
            "refused_calls": int(calls[calls["http_status"] == 429]["calls"].sum()),
            "failed_calls": int(calls[bad]["calls"].sum()),
            "retries": int(mine["retries"].sum()),
            "waited_seconds": float(mine["waited_seconds"].sum()),
        }
        row["bytes_per_second"] = rate(row["bytes_fetched"], row["transfer_seconds"])
        for name in ("api_calls", "retries", "bytes_fetched", "transfer_seconds"):
            row[f"{name}_per_1000"] = rate(row[name] * 1000, row["recordings"])
        rows.append(row)
    return rows


def ageing(root: Root) -> list[dict]:
    audio = root.table("recording_audio")
    open_files = audio[audio["status"].isin(OPEN)].sort_values(KEY)
    inventory = root.table("recording_inventory").set_index(KEY)
    effort = {tuple(row[name] for name in KEY): row for row in facts(root)}
    days = exported(root)
    failing = {day: set(zip(part["status"], part["reason"], strict=True)) for day, part in open_files.groupby("date")}
    rows = []
    for row in open_files.to_dict("records"):
        key = tuple(row[name] for name in KEY)
        since = row["date"]
        for day in reversed([day for day in days if day < row["date"]]):
            if (row["status"], row["reason"]) not in failing.get(day, ()):
                break
            since = day
        age = (max(days) - row["date"]).days
        group = next(name for most, name in AGE_GROUPS if age <= most)
        rows.append(
            {name: row[name] for name in [*KEY, "conversation_id"]}
            | {name: inventory.loc[key][name] for name in ("media_type", "format")}
            | {"status": row["status"], "reason": row["reason"], "age_days": age, "age_group": group}
            | {"reason_since": since, "reason_age_days": (max(days) - since).days}
            | {name: effort[key][name] for name in ("runs", "attempts")}
        )
    return rows


def freshness(root: Root) -> list[dict]:
    """As the check day_complete judges each day."""
    tables, rows = Tables(LocalStore(root.path)), []
    days = exported(root)
    for number in range((max(days) - min(days)).days + 1):
        day = min(days) + dt.timedelta(days=number)
        verdict = judge_day(tables, day)
        problems = ", ".join(f"{count} {problem}" for problem, count in sorted(verdict.problems.items()))
        state = "complete" if verdict.complete else "not_exported" if verdict.never_exported else "incomplete"
        rows.append({"date": day, "is_complete": verdict.complete, "state": state, "why": problems or None})
        if day not in days:
            rows[-1]["why"] = "never exported"
        rows[-1]["problems"] = sum(verdict.problems.values()) if day in days else 0
        rows[-1] |= {"listed": verdict.listed, "stored": verdict.stored}
        incomplete = [row["date"] for row in rows if not row["is_complete"]]
        rows[-1]["oldest_incomplete"] = min(incomplete, default=None)
        rows[-1]["incomplete_days"] = len(incomplete)
        rows[-1]["days_behind"] = (day - min(incomplete)).days + 1 if incomplete else 0
    return rows


EXPECTED = {
    "availability_daily": availability,
    "storage_utilization_daily": storage,
    "recording_facts": facts,
    "speaker_talk_time": talk,
    "export_throughput_daily": throughput,
    "failure_ageing": ageing,
    "freshness_daily": freshness,
}


def plain(value: object) -> object:
    """A value without pandas' and numpy's clothes."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp) and value.tz is None:
        return value.date()  # DuckDB's dates, in pandas
    return value.item() if hasattr(value, "item") else value


def assert_same_rows(found: pd.DataFrame, expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for row, right in zip(found.to_dict("records"), expected, strict=True):
        assert list(row) == list(right)
        for name in row:
            mine, its = plain(row[name]), plain(right[name])
            same = math.isclose(mine, its, rel_tol=1e-9) if isinstance(mine, float) and its is not None else mine == its
            assert same, (name, mine, its, right)


@pytest.mark.parametrize("mart", MARTS)
def test_marts_of_several_days_equal_what_pandas_computes(days, mart):
    expected = EXPECTED[mart](days)
    assert expected
    assert_same_rows(days.mart(mart), expected)
    assert_same_rows(days.query(f"select * from {mart} order by all"), expected)  # noqa: S608


@pytest.mark.parametrize("mart", MARTS)
def test_marts_of_a_day_of_failures_equal_what_pandas_computes(red_day, mart):
    expected = EXPECTED[mart](red_day)
    assert_same_rows(red_day.mart(mart), expected)
    assert_same_rows(red_day.query(f"select * from {mart} order by all"), expected)  # noqa: S608


def test_a_day_without_recordings_has_its_row(days):
    mart = days.mart("availability_daily").set_index("date")
    assert list(mart.index) == sorted(DAYS)
    empty = mart.loc[EMPTY_DAY]
    assert (empty["listed"], empty["expected"], empty["is_settled"]) == (0, 0, True)
    assert pd.isna(empty["availability_rate"])


def test_a_day_of_failures_names_its_main_reason(red_day):
    (row,) = red_day.mart("availability_daily").to_dict("records")
    assert row["failed"] > 0
    assert (row["available"], row["availability_rate"], row["main_reason"]) == (0, 0.0, "forbidden")


def test_days_between_that_were_never_exported_are_incomplete(days):
    mart = days.mart("freshness_daily").set_index("date")
    assert len(mart) == 11
    assert set(mart["state"]) == {"complete", "incomplete", "not_exported"}
    assert mart["oldest_incomplete"].iloc[-1] == EMPTY_DAY + dt.timedelta(days=1)


def test_effort_is_summed_over_runs(days):
    mart = days.mart("recording_facts")
    assert (mart["runs"] > 1).any()
    assert set(mart["date"]) == set(DAYS) - {EMPTY_DAY}


def test_marts_hold_neither_file_names_nor_what_was_said(days):
    said = set(days.table("diarized_transcripts")["text"])
    names = set(days.table("recording_audio")["file_name"].dropna())
    assert said
    assert names
    for mart in MARTS:
        for column in days.mart(mart):
            assert not (said | names) & set(days.mart(mart)[column].dropna().astype(str)), (mart, column)


def test_every_column_is_described_and_has_the_type_that_is_written(days):
    import yaml

    from media_pipeline.reports.places import PROJECT

    files = list(PROJECT.glob("models/*/*.yml"))
    assert {path.stem for path in files} == {path.stem for path in PROJECT.glob("models/*/*.sql")}
    for path in files:
        (model,) = yaml.safe_load(path.read_text())["models"]
        written = days.query(f"describe {model['name']}")
        described = [(column["name"], column["data_type"]) for column in model["columns"]]
        assert described == list(zip(written["column_name"], written["column_type"].str.lower(), strict=True)), path
        assert all(column["description"] for column in model["columns"])
        assert model["description"]


def test_each_exported_day_is_one_zstd_file_and_nothing_lies_beside_it(days):
    import pyarrow.parquet as pq

    for mart in MARTS:
        found = {path.parent.name.removeprefix("date="): path for path in days.parts(mart)}
        assert set(map(str, DAYS)) <= set(found)
        for path in found.values():
            assert [file.name for file in path.parent.iterdir()] == ["part-0.parquet"]
            metadata = pq.ParquetFile(path).metadata
            assert metadata.num_rows == 0 or metadata.row_group(0).column(0).compression == "ZSTD"
            assert "date" not in metadata.schema.to_arrow_schema().names
