"""The marts' numbers are those that pandas computes from the tables, in the DuckDB file and in the Parquet files."""

import datetime as dt
import math

import pandas as pd  # noqa: TID253 - no code server imports a test
import pytest

from media_pipeline_tests.reports.conftest import DAYS, EMPTY_DAY, MARTS, Root

KEY = ["date", "recording_id", "file_index"]
STATUSES = ["available", "unsupported", "empty", "unavailable", "pending", "quarantined", "failed"]
OPEN = ["pending", "quarantined", "failed"]


def rate(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def availability(root: Root) -> list[dict]:
    report = root.table("availability_report")
    rows, counts = [], {}
    days = sorted({dt.date.fromisoformat(p.name[5:]) for p in root.path.glob("tables/availability_report/*")})
    for day in days:
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
    return table.sort_values(["date", "media_type", "format"], na_position="last").to_dict("records")


def facts(root: Root) -> list[dict]:
    listed = root.table("recording_inventory")[
        [*KEY, "conversation_id", "media_type", "format", "started_at", "duration_seconds", "file_state"]
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
    runs = root.table("export_runs").dropna(subset=["recording_id"])
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


EXPECTED = {"availability_daily": availability, "storage_utilization_daily": storage, "recording_facts": facts}


def plain(value: object) -> object:
    """A value without pandas' and numpy's clothes."""
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
    assert_same_rows(days.query(f"select * from {mart}"), expected)  # noqa: S608


@pytest.mark.parametrize("mart", MARTS)
def test_marts_of_a_day_of_failures_equal_what_pandas_computes(red_day, mart):
    expected = EXPECTED[mart](red_day)
    assert_same_rows(red_day.mart(mart), expected)
    assert_same_rows(red_day.query(f"select * from {mart}"), expected)  # noqa: S608


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


def test_parquet_files_are_zstd_and_nothing_else_lies_beside_them(days):
    import pyarrow.parquet as pq

    for mart in MARTS:
        assert [path.name for path in days.part(mart).parent.iterdir()] == ["part-0.parquet"]
        assert pq.ParquetFile(days.part(mart)).metadata.row_group(0).column(0).compression == "ZSTD"
