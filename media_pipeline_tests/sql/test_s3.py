"""MEDIA_ROOT in a real S3: the same answers, and only the files of the days that are asked for."""

import duckdb
import pytest

from media_pipeline.sql.asking import QueryRefused, asker
from media_pipeline.sql.session import session
from media_pipeline.sql.views import Views
from media_pipeline.storage.arrow_s3 import s3_filesystem
from media_pipeline.storage.opening import open_store

QUESTION = "select date, used_mb, basis from storage_quota where date <= '2026-11-03' order by date"


@pytest.fixture
def store(s3_root, archive, tmp_path):
    store = open_store(s3_root, tmp_path / "spool", 2)
    for path, data in archive.files().items():
        store.put(path.removeprefix(f"{archive.path}/"), data)
    store.put("unredacted/said.txt", b"4111 1111 1111 1111")
    return store


def test_the_answers_are_those_of_a_disk(store, archive):
    for question in (
        QUESTION,
        "select * from daily_mart order by all",
        "select * from whole_mart order by all",
        "select event, recording_id, date from audit",
    ):
        with asker(store, Views(store), question) as asking, asking.ask(question) as reader:
            found = [tuple(row.values()) for row in reader.read_all().to_pylist()]
        assert found == archive.answer(question)
        assert found


def test_only_the_files_of_the_days_are_read(store):
    with asker(store, Views(store), QUESTION) as asking:
        assert "Scanning Files: 3/12" in asking.plan(QUESTION)


def test_the_script_for_a_duckdb_of_ones_own_reads_them_too(store):
    with duckdb.connect() as connection:
        script = "".join(session(store, connection))
        connection.register_filesystem(s3_filesystem())
        connection.execute(script)
        assert connection.sql("select count(*), count(distinct date) from storage_quota").fetchall() == [(12, 12)]
    assert "create secret" in script
    assert "async_threads" not in script  # reading from S3 is waiting
    assert "file_cache" not in script


def test_nothing_beside_the_tables_is_read(store):
    question = f"select * from read_text('{store.url}/unredacted/said.txt')"  # noqa: S608
    with asker(store, Views(store), question) as asking, pytest.raises(QueryRefused), asking.ask(question) as reader:
        reader.read_all()


def test_the_command_answers_from_s3(store, s3, archive):
    options = archive.options()
    environment = options["env"] | s3.variables() | {"MEDIA_ROOT": store.url}
    done = archive.run("select count(*) as n from storage_quota", "--format", "csv", env=environment)
    assert done.stdout == '"n"\n12\n', done.stderr
