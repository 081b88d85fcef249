"""media-pipeline sql as a person runs it: real processes, real output, a real terminal."""

import json
import os
import pty
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from media_pipeline_tests.sql.conftest import DAYS, PROGRAM

SERIES = "select i, i * 2 as j, 'some text ' || i as s from range({rows}) r(i)"


def at_terminal(archive, *arguments, columns=80):
    """What a terminal of that width is sent, our own bold and dim left out, and the exit code."""
    ours, theirs = pty.openpty()
    options = archive.options()
    environment = options["env"] | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(
        [PROGRAM, "sql", *arguments], stdout=theirs, stderr=theirs, stdin=theirs, env=environment, cwd=options["cwd"]
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        shown += piece
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r\n", "\n"), process.wait(60)


def test_without_a_query_everything_is_listed_with_its_days_and_columns(archive):
    done = archive.run()
    assert done.returncode == 0, done.stderr
    for told in ("storage_quota", "One row per day", "12 days, 2026-11-01 to 2026-11-12.", "daily_mart", "audit"):
        assert told in done.stdout
    full = archive.run("--tables").stdout
    assert "used_mb" in full
    assert "Used storage at the source in MB of 10^6 bytes." in full


def test_a_mart_that_cannot_be_read_is_listed_and_says_so(archive):
    key = archive.torn_mart()
    for arguments in ((), ("--tables",)):
        done = archive.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{key} cannot be read (Parquet file size is 1 bytes" in " ".join(done.stdout.split())
        assert "used_mb" in done.stdout
    asked = archive.run("from foreign")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr.startswith(f"{key} cannot be read")


def test_a_table_says_how_many_rows_there_are_and_when_there_are_more(archive):
    assert archive.run("select date, used_mb from storage_quota where date = '2026-11-03'").stdout == (
        "date        used_mb\n2026-11-03      2.0\n1 row.\n"
    )
    shown = archive.run("select i from range(1000) r(i)", "--rows", "3").stdout
    assert shown.splitlines()[-1].startswith("The first 3 rows; there are more")
    assert len(shown.splitlines()) == 5


def test_a_query_comes_from_a_file_or_from_standard_input(archive, tmp_path):
    (tmp_path / "query.sql").write_text("-- how many?\nselect count(*) as n from storage_quota;\n")
    assert archive.run("--file", "query.sql", "--format", "csv").stdout == '"n"\n12\n'
    with (tmp_path / "query.sql").open() as given:
        assert archive.run("-", "--format", "csv", stdin=given).stdout == '"n"\n12\n'


def test_every_format_has_the_same_values(archive, tmp_path):
    question = (
        "select date, used_mb, basis, '' as nothing, null as none, [1, 2] as numbers, "
        "sum(1) over () as total, 1.5::decimal(9, 2) as money from storage_quota order by date"
    )
    for ending in ("csv", "json", "jsonl", "parquet"):
        done = archive.run(question, "--output", f"answer.{ending}")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    parquet = pq.read_table(tmp_path / "answer.parquet").to_pylist()
    assert [row["date"] for row in parquet] == DAYS
    assert parquet[0]["numbers"] == [1, 2]
    assert (parquet[0]["basis"], parquet[1]["basis"]) == (None, "usage")
    assert parquet[0]["money"] == Decimal("1.5")
    array = json.loads((tmp_path / "answer.json").read_text())
    assert array == [json.loads(line) for line in (tmp_path / "answer.jsonl").read_text().splitlines()]
    assert array[0] == {
        "date": "2026-11-01",
        "used_mb": 0.0,
        "basis": None,
        "nothing": "",
        "none": None,
        "numbers": [1, 2],
        "total": 12,
        "money": 1.5,
    }
    lines = (tmp_path / "answer.csv").read_text().splitlines()
    assert lines[1] == '2026-11-01,0,,"",,"[1,2]",12,1.50'
    csv = pyarrow.csv.read_csv(tmp_path / "answer.csv")
    assert csv["used_mb"].to_pylist() == [float(number) for number in range(12)]


def test_no_rows_are_an_empty_answer_in_every_format(archive):
    question = "select date, used_mb from storage_quota where date = '2020-01-01'"
    assert json.loads(archive.run(question, "--format", "json").stdout) == []
    assert archive.run(question, "--format", "jsonl").stdout == ""
    assert archive.run(question, "--format", "csv").stdout == '"date","used_mb"\n'
    assert "0 rows." in archive.run(question).stdout


def test_a_length_of_time_is_shown_as_one(archive):
    query = "select interval '2 months 3 days 23:43:37.051' as a, interval '-90 seconds' as b, interval '0 days' as c"
    answer = json.loads(archive.run(query, "--format", "json").stdout)
    assert answer == [{"a": "2 months 3 days 23:43:37.051", "b": "-00:01:30", "c": "00:00:00"}]
    assert "2 months 3 days 23:43:37.051" in archive.run(query).stdout
    assert (
        archive.run(query, "--format", "csv").stdout.splitlines()[1]
        == '"2 months 3 days 23:43:37.051","-00:01:30","00:00:00"'
    )


def test_bytes_and_what_lies_within_lists_are_text(archive):
    query = "select 'ab'::blob || '\\x00'::blob as a, {'b': [interval '1 days', null]} as c, date '9999-12-31' as d"
    assert json.loads(archive.run(query, "--format", "json").stdout) == [
        {"a": "YWIA", "c": {"b": ["1 days", None]}, "d": "9999-12-31"}
    ]
    assert (
        archive.run(query, "--format", "csv").stdout.splitlines()[1] == '"YWIA","{""b"":[""1 days"",null]}",9999-12-31'
    )


def test_what_parquet_has_no_type_for_is_text_in_it_wherever_it_lies(archive, tmp_path):
    query = "select [interval 1 day] as a, map {'x': {'y': interval 90 second}} as b, row() as c, [1] as d"
    done = archive.run(query, "--output", "answer.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    assert pq.read_table(tmp_path / "answer.parquet").to_pylist() == [
        {"a": '["1 days"]', "b": '[["x",{"y":"00:01:30"}]]', "c": "{}", "d": [1]}
    ]


@pytest.mark.parametrize("value", ["'infinity'::timestamp_s", "['-infinity'::timestamp_s]"])
def test_a_time_that_parquet_cannot_hold_gets_the_same_sentence_as_elsewhere(archive, tmp_path, value):
    done = archive.run(f"select {value}", "--output", "answer.parquet")
    assert done.returncode == 1
    assert "outside the years 1 to 9999" in " ".join(done.stderr.split())
    assert not (tmp_path / "answer.parquet").exists()


@pytest.mark.parametrize("kind", ["table", "json", "csv"])
@pytest.mark.parametrize("day", ["date '10000-01-01'", "'infinity'::date", "'-infinity'::timestamptz"])
def test_a_day_that_python_does_not_know_gets_a_sentence(archive, kind, day):
    done = archive.run(f"select {day}", "--format", kind)
    assert done.returncode == 1
    assert "outside the years 1 to 9999" in " ".join(done.stderr.split())


def test_columns_of_one_name_are_told_apart_where_names_are_keys(archive):
    assert json.loads(archive.run("select 1 as a, 2 as a", "--format", "jsonl").stdout) == {"a": 1, "a_1": 2}


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_rows(archive, tmp_path, kind):
    peaks = []
    for rows in (50_000, 2_000_000):
        command = [PROGRAM, "sql", "--format", kind, SERIES.format(rows=rows)]
        options = archive.options()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=options["env"], cwd=options["cwd"])
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
        assert status == 0
        peaks.append(used.ru_maxrss / 1024)
    assert peaks[1] - peaks[0] < 80, peaks


@pytest.mark.parametrize("arguments", [("--format", "csv"), ("--format", "parquet"), ("--rows", "20000")])
def test_a_reader_who_leaves_ends_it_quietly(archive, arguments):
    options = archive.options()
    process = subprocess.Popen(
        [PROGRAM, "sql", *arguments, SERIES.format(rows=3_000_000)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=options["env"],
        cwd=options["cwd"],
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


@pytest.mark.parametrize(
    "arguments",
    [(), ("--tables",), ("--ddl", "duckdb"), ("--ddl", "spark"), ("--explain", "select 1"), ("select 1",)],
)
def test_whatever_is_shown_a_reader_who_has_left_ends_it_quietly(archive, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as left:
        done = archive.run(*arguments, capture_output=False, stdout=left, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_reader_gets_every_byte(archive, unbuffered):
    options = archive.options()
    environment = options["env"] | {"PYTHONUNBUFFERED": unbuffered}
    done = archive.run("--rows", "30000", "select i from range(30000) r(i)", env=environment)
    assert len(done.stdout.splitlines()) == 30_002


def test_a_broken_file_ends_with_one_and_leaves_no_half_answer(archive, tmp_path):
    archive.file("storage_quota", DAYS[6]).write_bytes(b"not Parquet at all")
    (tmp_path / "answer.csv").write_text("of yesterday")
    done = archive.run("select used_mb from storage_quota", "--output", "answer.csv")
    assert done.returncode == 1
    assert "could not be answered to its end" in done.stderr
    assert (tmp_path / "answer.csv").read_text() == "of yesterday"
    assert {path.name for path in tmp_path.iterdir()} == {"answer.csv", archive.path.name}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("select * from storage_quotas",), 'Did you mean "storage_quota"?'),
        (("select 1", "--tables"), "Give one of them"),
        (("--ddl", "athena", "storage_quotas"), "Did you mean storage_quota?"),
        (("--file", "nowhere.sql"), "does not exist"),
        (
            ("select 1", "--output", "nowhere/answer.csv"),
            "nowhere/answer.csv cannot be written: there is no folder nowh",
        ),
        (("select 1", "--output", "/usr"), "/usr cannot be written: it is a folder."),
        (("select 1", "--output", "/proc/answer.csv"), "/proc/answer.csv cannot be written: "),
        (("select 1", "--explain", "--output", "plan.txt"), "leave --output out"),
        (("select $1",), "Put the value in the place of $1"),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence_and_no_traceback(archive, arguments, sentence):
    done = archive.run(*arguments, env=archive.options()["env"] | {"COLUMNS": "300"})
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_answer_keeps_the_mode_of_the_file_the_link_to_it_and_the_pipe(archive, tmp_path):
    new, old, link, pipe = (tmp_path / name for name in ("new.csv", "old.csv", "link.csv", "pipe.csv"))
    old.write_text("before")
    old.chmod(0o664)
    link.symlink_to(old)
    assert archive.run("select 1 as a", "-o", "new.csv").returncode == 0
    (tmp_path / "made").touch()
    assert new.stat().st_mode == (tmp_path / "made").stat().st_mode
    assert archive.run("select 2 as a", "-o", "link.csv").returncode == 0
    assert link.is_symlink()
    assert old.read_text() == '"a"\n2\n'
    assert old.stat().st_mode & 0o777 == 0o664
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert archive.run("select 3 as a", "-o", "pipe.csv").returncode == 0
        assert reader.communicate(timeout=30)[0] == '"a"\n3\n'
    assert pipe.is_fifo()
    assert not list(tmp_path.glob(".*.csv.*"))


def test_a_query_that_is_not_utf_8_is_named(archive, tmp_path):
    (tmp_path / "query.sql").write_bytes("select 'é'".encode("latin-1"))
    done = archive.run("--file", "query.sql")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "query.sql is not UTF-8: give the query in UTF-8.\n"
    with (tmp_path / "query.sql").open() as given:
        assert archive.run("-", stdin=given).stderr == "Standard input is not UTF-8: give the query in UTF-8.\n"


def test_a_terminal_is_never_sent_what_it_would_act_on(archive):
    question = "select chr(27) || '[2J' as \"a\x07b\", 'x' || chr(8238) || 'y' as y"
    for arguments in ((), ("--format", "csv"), ("--format", "json"), ("--format", "jsonl")):
        shown, code = at_terminal(archive, question, *arguments)
        assert code == 0
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "\u202e" not in shown
        assert "[2J" in shown
    assert archive.run("select chr(27) as x", "--format", "csv").stdout == '"x"\n"\x1b"\n'  # a program gets the value


def test_a_table_that_is_too_wide_for_the_terminal_is_shown_as_records(archive):
    question = "select 'a' || repeat('b', 50) as first, repeat('c', 50) as second"
    wide, _ = at_terminal(archive, question, columns=120)
    narrow, _ = at_terminal(archive, question, columns=80)
    assert "row 1" not in wide
    assert narrow.startswith("row 1")
    assert all(len(line) <= 80 for line in narrow.splitlines())


def test_a_table_for_a_file_or_a_program_has_a_line_a_row_however_wide(archive, tmp_path):
    narrow = archive.options()["env"] | {"COLUMNS": "20"}
    question = "select repeat('x', 12000) as v, '語' as w, 7 as z from range(2)"
    lines = archive.run(question, "--rows", "1", env=narrow).stdout.splitlines()
    assert lines[1] == "x" * 12_000 + "  語  7"
    assert lines[2:] == ["The first 1 rows; there are more: --rows N shows more, --format csv writes all."]
    archive.run(f'select 1 as "{"n" * 12_000}"', "--output", "table.txt", env=narrow)
    assert (tmp_path / "table.txt").read_text().splitlines()[0] == "n" * 12_000


def test_parquet_is_not_shown_on_a_terminal(archive):
    shown, code = at_terminal(archive, "select 1", "--format", "parquet")
    assert code == 2
    assert "give --output FILE" in " ".join(shown.split())


def test_the_plan_says_which_files_were_read(archive):
    done = archive.run("--explain", "select sum(used_mb) from storage_quota where date = '2026-11-03'")
    assert "Scanning Files: 1/12" in done.stdout


def test_without_duckdb_it_says_what_to_install(archive):
    code = "import sys; sys.modules['duckdb'] = None; from media_pipeline.cli import app; app(['sql', 'select 1'])"
    done = subprocess.run([sys.executable, "-c", code], **archive.options())
    assert done.returncode == 2
    assert "pip install 'media-pipeline[sql]'" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_table_without_a_day_is_told_beside_the_answer(archive):
    done = archive.run("select count(*) as n from recording_audio", "--format", "csv")
    assert done.stdout == '"n"\n0\n'
    assert " ".join(done.stderr.split()).endswith(": recording_audio.")
    assert archive.run("select count(*) as n from storage_quota").stderr == ""


def test_a_relative_root_is_seen_from_the_working_folder(archive):
    relative = archive.options()["env"] | {"MEDIA_ROOT": Path(archive.path.name).as_posix()}
    assert archive.run("select count(*) as n from storage_quota", "--format", "csv", env=relative).stdout == '"n"\n12\n'
