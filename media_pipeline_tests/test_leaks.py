"""No personal data and no secret of a planted set is in anything that real runs write, log, keep or send.

Two deployments: published API under `dagster dev` (daemon, sensor, runs in processes of their own, dbt), and the
guides' endpoints by command line, with raw transcripts kept apart.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline_tests.dagster_dev import YESTERDAY, DagsterDev, dagster_dev, until
from media_pipeline_tests.harness import Org
from media_pipeline_tests.leaks import leaks, texts_below
from media_pipeline_tests.receiver import SECRET_PATH, Receiver, receiving
from media_pipeline_tests.test_bad_input import SEVEN, materialize
from media_pipeline_tests.test_cli import run as command

SAID = (
    "You can reach me on (415) 867-5309 after six.",
    "Please write to zelda.planted@leak-mail.example-corp.com about it.",
    "The card is 4539 1488 0343 6467, it expires next year.",
    "My social security number is 536-22-8724.",
    "My phone number is three one two, six four four, nine one eight two.",
    "My card number is 5425 2334",
    "and then 3010 9903, that is all.",
)
PERSONAL = {
    "phone": "867-5309",
    "e-mail": "zelda.planted",
    "card": "0343 6467",
    "social security number": "536-22-8724",
    "spoken phone": "six four four, nine one eight two",
    "first half of a split card": "5425 2334",
    "second half of a split card": "3010 9903",
    "phone, digits only": "4158675309",
    "card, digits only": "4539148803436467",
}
"""By name, what must not be found of it."""
CLIENT_SECRET = "planted-client-secret-5f1d"
KEY = "whsec_cGxhbnRlZC1zaWduaW5nLWtleS0wMTIzNDU2Nzg5"
DELIVERED_SECONDS = 150.0


@dataclass
class Planted:
    """An org whose callers say planted things, and every token and link it handed out."""

    sandbox: RunningSandbox
    served: list[str] = field(default_factory=list)
    """Texts of transcripts that were asked for."""
    tokens: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    def secrets(self, receiver: Receiver) -> dict[str, str]:
        found = {
            "client secret": CLIENT_SECRET,
            "webhook URL": SECRET_PATH,
            "webhook key": KEY.removeprefix("whsec_"),
            "any signed link": "X-Amz-Signature=",
            "any link's token": "X-Amz-Security-Token=",
        }
        found |= {f"token {number}": token for number, token in enumerate(self.tokens)}
        found |= {f"link {number}": signature for number, signature in enumerate(self.signatures)}
        assert self.tokens
        assert self.signatures
        assert SECRET_PATH in receiver.url
        return found

    def assert_served(self) -> None:
        """Else nothing could leak."""
        text = "\n".join(self.served)
        assert [said for said in SAID if said not in text] == []


@contextmanager
def planted_org(**options: Any) -> Iterator[Planted]:
    with running(SandboxOptions(port=0, end=YESTERDAY, client_secret=CLIENT_SECRET, **options)) as sandbox:
        state, planted = sandbox.state, Planted(sandbox)
        segments, token, link = state.media.segments, state.signer.token, state.signer.link

        def saying(recording: Any) -> list[dict[str, Any]]:
            found = segments(recording)
            length = max((int(each["endOffsetInMilliseconds"]) for each in found), default=0)
            said = [
                {
                    "startOffsetInMilliseconds": length + 1000 * number,
                    "endOffsetInMilliseconds": length + 1000 * number + 900,
                    "text": text,
                    "speaker": "customer",
                    "confidence": 0.9,
                }
                for number, text in enumerate(SAID)
            ]
            planted.served += SAID
            return [*found, *said]

        def issuing(seconds: int) -> str:
            planted.tokens.append(token(seconds))
            return planted.tokens[-1]

        def signing(*arguments: Any) -> str:
            url = link(*arguments)
            planted.signatures.append(re.findall(r"X-Amz-Signature=([0-9a-f]+)", url)[0])
            return url

        state.media.segments, state.signer.token, state.signer.link = saying, issuing, signing  # type: ignore[method-assign]
        yield planted


def sent(receiver: Receiver) -> dict[str, bytes]:
    """What webhooks got, headers too."""
    return {f"webhook {number}": str(post.headers).encode() + post.body for number, post in enumerate(receiver.posts)}


def assert_transcripts_were_redacted(root: Path) -> None:
    """The planted calls are in the tables, with placeholders."""
    texts = [
        row["text"]
        for path in (root / "tables/diarized_transcripts").rglob("*.parquet")
        for row in pq.read_table(path, columns=["text"]).to_pylist()
    ]
    for placeholder in ("[PHONE_NUMBER]", "[EMAIL_ADDRESS]", "[CREDIT_CARD]", "[US_SSN]"):
        assert any(placeholder in text for text in texts), placeholder
    assert any("it expires next year" in text for text in texts), "the rest of a sentence is kept"


def test_nothing_planted_is_in_anything_that_dagster_and_its_runs_write_log_or_send(tmp_path: Path) -> None:
    with planted_org(per_day=30, days=1, transcode_seconds=1) as planted, receiving() as receiver:
        variables = {
            "GENESYS_BASE_URL": planted.sandbox.url,
            "GENESYS_CLIENT_SECRET": CLIENT_SECRET,
            "MEDIA_WEBHOOKS": receiver.url,
            "MEDIA_WEBHOOK_KEY": KEY,
        }
        with dagster_dev(tmp_path, per_day=1, days=1, variables=variables) as dev:
            dev.start_sensor("archive_callbacks")
            dev.start_sensor("run_failures")
            run_id = dev.launch_day(YESTERDAY)
            assert dev.wait_run(run_id) == "SUCCESS"
            assert dev.wait_run(_interactions(dev)) == "SUCCESS"
            assert dev.wait_run(dev.launch("dbt_reports_build", "reports")) == "SUCCESS"
            expected = {"day_completed", "metadata_parsed"}
            until(lambda: expected <= _types(receiver) or None, DELIVERED_SECONDS, lambda: f"only {_types(receiver)}")
        secrets = planted.secrets(receiver)
    planted.assert_served()
    assert_transcripts_were_redacted(tmp_path / "media")
    assert all("webhook-signature" in post.headers for post in receiver.posts)
    seen = {where.split("/")[0] for where, _ in leaks(tmp_path, {"what must be found": run_id})}
    assert seen >= {"dagster_home", "dagster.log", "media", "spool"}, "else the search is blind"
    names = {name for name, _ in texts_below(tmp_path)}
    for part in ("dagster_home/history", "dagster_home/storage", "spool/", "media/audit", "media/marts", "dagster.log"):
        assert any(name.startswith(part) for name in names), f"nothing below {part} was looked through"
    assert leaks(tmp_path, PERSONAL | secrets) == []
    assert leaks(sent(receiver), PERSONAL | secrets) == []


def test_raw_transcripts_lie_apart_when_asked_for_and_nothing_else_leaks(tmp_path: Path) -> None:
    with planted_org(per_day=30, days=1, transcode_seconds=1) as planted, receiving() as receiver:
        org = Org(planted.sandbox)
        time.sleep(1.1)
        variables = {
            "GENESYS_CLIENT_SECRET": CLIENT_SECRET,
            "MEDIA_WEBHOOKS": receiver.url,
            "MEDIA_WEBHOOK_KEY": KEY,
            "MEDIA_KEEP_UNREDACTED": "1",
        }
        victim = org.ordinary(1, YESTERDAY)[0]
        org.break_with({"fault": "corrupt", "ids": [victim]})
        runs = [materialize(org.url, tmp_path, str(YESTERDAY), SEVEN, **variables)]
        org.break_with({"fault": "bad_url", "ids": [victim], "url": "http://169.254.169.254/?X-Amz-Signature=planted"})
        runs += [materialize(org.url, tmp_path, str(YESTERDAY), SEVEN, **variables)]
        org.break_with()
        runs += [
            materialize(org.url, tmp_path, str(YESTERDAY), selection, **variables)
            for selection in (SEVEN, "interaction_media,recording_thumbnails")
        ]
        runs += [
            command(*words, folder=tmp_path, url=org.url, **variables)
            for words in (("callbacks", "list"), ("callbacks", "deliver"), ("doctor",), ("explain", victim))
        ]
        secrets = planted.secrets(receiver)
    planted.assert_served()
    assert [run.returncode for run in runs[2:]] == [0] * 6, [run.stderr[-2000:] for run in runs[2:]]
    assert _types(receiver) == {"recording_quarantined", "day_completed", "metadata_parsed"}
    (tmp_path / "output.txt").write_text("".join(run.stdout + run.stderr for run in runs))
    assert_transcripts_were_redacted(tmp_path / "media")
    assert leaks(tmp_path, secrets) == []
    found = leaks(tmp_path, PERSONAL)
    assert {name.split("/")[1] for name, _ in found} == {"unredacted"}, found
    assert {value for _, value in found} == {name for name in PERSONAL if "digits only" not in name}
    assert leaks(sent(receiver), PERSONAL | secrets) == []


def _types(receiver: Receiver) -> set[str]:
    return {message.get("type", "") for message in receiver.messages}


def _interactions(dev: DagsterDev) -> str:
    return dev.launch("interactions_daily", tags={"dagster/partition": str(YESTERDAY)})


VALUE = {"value": "planted-value-77"}


def _plant_parquet(folder: Path) -> None:
    table = pa.table({"text": ["one", f"it is {VALUE['value']}, yes"]})
    pq.write_table(table, folder / "part-0.parquet", compression="zstd")


def _plant_gzip(folder: Path) -> None:
    (folder / "a.json.gz").write_bytes(gzip.compress(json.dumps(VALUE).encode()))


def _plant_sqlite(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "runs.db")) as database:
        database.execute("CREATE TABLE snapshots (body BLOB)")
        database.execute("INSERT INTO snapshots VALUES (?)", (zlib.compress(json.dumps(VALUE).encode() * 9),))
        database.commit()


def _plant_duckdb(folder: Path) -> None:
    import duckdb

    with duckdb.connect(str(folder / "media.duckdb")) as database:
        database.execute("CREATE TABLE facts AS SELECT 'it is ' || ? AS text FROM range(5000)", [VALUE["value"]])


def _plant_text(folder: Path) -> None:
    (folder / "log").mkdir()
    (folder / "log" / "event.log").write_text(f"... {VALUE['value']} ...")


def _plant_name(folder: Path) -> None:
    (folder / f"{VALUE['value']}.txt").write_text("")


@pytest.mark.parametrize("plant", [_plant_parquet, _plant_gzip, _plant_sqlite, _plant_duckdb, _plant_text, _plant_name])
def test_the_search_finds_a_value_wherever_it_is_packed(tmp_path, plant):
    (tmp_path / "other.txt").write_text("nothing here")
    assert leaks(tmp_path, VALUE) == []
    plant(tmp_path)
    ((_, name),) = leaks(tmp_path, VALUE)
    assert name == "value"


def test_a_search_through_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        leaks(tmp_path / "no such folder", VALUE)
