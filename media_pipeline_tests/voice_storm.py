"""Voice messages by the hundred, a source that fails in every way, and kill -9 of who sends: no guest gets one twice.

`python -m media_pipeline_tests.voice_storm --messages 1000 --kills 40 --dialect guide` proves more than the suite has
the time for. With `--run` it is the process that is killed: one run of the job, as its schedule runs it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from media_pipeline.build import build_definitions
from media_pipeline.connection import opened_source
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.messaging import voice_run, voice_state, voice_way
from media_pipeline.messaging.deleting import work_ledger
from media_pipeline.messaging.inbox import Inbox, VoiceMessage
from media_pipeline.messaging.retention import Ledger
from media_pipeline.messaging.voice_state import TABLE
from media_pipeline.messaging.voice_table import VoiceTable, every
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline.settings import Settings
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Row, Tables
from media_pipeline_tests import voices
from media_pipeline_tests.harness import DAY, resources_for, settings_for, variables_for
from media_pipeline_tests.messaging_org import QUIET, Guests

STEPS = (
    "uploading", "reply_to_upload", "scheduled", "uploaded", "sending", "reply_to_send", "sent", "texting",
    "reply_to_text", "done", "row", "files", "files_gone",
)  # fmt: skip
"""Where a run is killed by name: behind what became durable, or (reply_to_...) before it does."""
SETTLED = dt.timedelta(seconds=1)
"""Of the processes here: how old a send must be before it is believed not to have arrived."""
RUN_SECONDS = 2.0
"""Random kills come within so long after a run's first write."""
START_SECONDS = 120.0
PER_CONVERSATION = 4
UPLOADS, SENDS = (
    {"guide": ("attachment_upload",), "platform": ("message_media_upload", "media_put")},
    {
        "guide": "message_send",
        "platform": "message_create",
    },
)


def faults(dialect: str) -> list[dict[str, Any]]:
    """Each of them once for each thing that it strikes: refused, failed before and after the effect, lost, slow."""
    send, upload = SENDS[dialect], UPLOADS[dialect][0]
    found = [
        {"fault": "rate_limit", "on": [send], "share": 0.2, "times": 1, "wait": 1},
        {"fault": "server_error", "on": [send], "share": 0.1, "times": 1, "code": 500},
        {"fault": "error_after", "on": [send], "share": 0.1, "times": 1, "code": 500},
        {"fault": "reset", "on": [send], "share": 0.1, "times": 1, "headers": False},
        {"fault": "stall", "on": [send], "share": 0.1, "times": 1, "seconds": 0.3},
        {"fault": "rate_limit", "on": [upload], "share": 0.05, "times": 1, "wait": 0},
        {"fault": "server_error", "on": [upload], "share": 0.05, "times": 1},
        {"fault": "reset", "on": list(UPLOADS[dialect]), "share": 0.05, "times": 1, "headers": False},
        {"fault": "forbidden", "on": [send], "share": 0.02, "times": 1, "permission": "conversation:message:create"},
    ]
    if dialect == "platform":
        found.append({"fault": "server_error", "on": ["message_conversation"], "share": 0.1, "times": 1})
    return found


@dataclass
class Storm:
    """What was put into the inbox, and what was done to whoever sends it."""

    dialect: str
    sandbox: RunningSandbox
    folder: Path
    variables: dict[str, str]
    conversations: list[str] = field(default_factory=list)
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By message key: its conversation, and its number, which is its order."""
    hostile: set[str] = field(default_factory=set)
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    too_late: int = 0
    lost_uploads: int = 0

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.folder / "inbox")

    @property
    def tables(self) -> Tables:
        return Tables(LocalStore(self.folder / "media"))

    def writes(self) -> int:
        return len(self.sandbox.state.messaging.sending.writes())


def rage(folder: Path, *, messages: int, kills: int, dialect: str, seed: int) -> Storm:
    """Fill, break and kill; then let runs end by themselves, and prove what guests got and tables say."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    options = SandboxOptions(port=0, bodies="tiny", per_day=1, days=1, messages_per_day=0, end=DAY, latency_ms=3)
    with running(options) as sandbox:
        sandbox.state.settings.outbound_audio = 1
        variables = variables_for(sandbox.url, folder) | {
            "GENESYS_DIALECT": dialect,
            "MEDIA_INBOX": str(folder / "inbox"),
            "MEDIA_ALLOW_WRITE_BACK": "1",
            "MEDIA_START_DATE": str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=5)),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        storm = Storm(dialect, sandbox, folder, variables)
        guests = Guests(sandbox)
        count = max(1, messages // PER_CONVERSATION)
        storm.conversations = [guests.post("conversations")["conversation_id"] for _ in range(count)]
        sandbox.break_with(*faults(dialect))
        plan = [STEPS[n % len(STEPS)] if n % 2 else "" for n in range(kills)]
        waves = len(plan) + 1
        for number, step in enumerate(plan):
            fill(storm, messages * (number + 1) // waves, chance)
            run_and_kill(storm, step, chance)
        fill(storm, messages, chance)
        let_run(storm)
        prove(storm)
        prove_deletions(storm)
    return storm


def fill(storm: Storm, until: int, chance: random.Random) -> None:
    """Put messages into the inbox, most of them tones of their own, some that no guest must hear."""
    for number in range(len(storm.keys), until):
        kind = chance.choice(["wav"] * 10 + ["mp3", "ogg"])
        tone = {"mp3": voices.mp3, "ogg": voices.ogg}.get(kind, voices.wav)
        audio = tone(0.2 if kind == "wav" else 0.5)
        key = f"{chance.getrandbits(128):032x}"
        conversation = storm.conversations[number % len(storm.conversations)]
        if number % 50 == 49:
            audio = voices.wav(61.0)
            storm.hostile.add(key)
        message = VoiceMessage(
            conversation_id=conversation, sender_id="agent-7", transcript=f"Message {number}", message_key=key,
            size_bytes=len(audio), received_at=dt.datetime.now(dt.UTC),
        )  # fmt: skip
        with storm.inbox.incoming() as incoming:
            incoming.write(audio)
            storm.inbox.publish(incoming, message, kind)
        storm.keys[key] = (conversation, number)


def run_and_kill(storm: Storm, step: str, chance: random.Random) -> None:
    """A run that dies at a named step, or some moment after its first write; sometimes beside another one."""
    if step:
        nth = chance.randint(1, 4)
        run = _started(storm, f"{step}:{nth}")
        code = run.wait(300)
        if code == -signal.SIGKILL:
            storm.kills[step] += 1
        else:
            assert code == 0, (storm.folder / "log.txt").read_text()[-3_000:]
            storm.too_late += 1
        return
    before, runs = storm.writes(), [_started(storm) for _ in range(chance.choice([1, 1, 1, 2]))]
    deadline = time.monotonic() + START_SECONDS
    while storm.writes() == before and any(r.poll() is None for r in runs) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(chance.uniform(0, RUN_SECONDS))
    for run in runs:
        if run.poll() is None:
            run.kill()
            storm.kills["random"] += 1
        else:
            storm.too_late += 1
        run.wait()


def let_run(storm: Storm) -> None:
    """Runs to their end, until nothing waits any more."""
    for _ in range(60):
        run = _started(storm)
        assert run.wait(600) == 0, (storm.folder / "log.txt").read_text()[-3_000:]
        if not storm.inbox.depth() and not storm.tables.store.sizes("voice/"):
            return
        time.sleep(SETTLED.total_seconds())
    left = [row for _, row in every(storm.tables) if row["status"] == "waiting"]
    raise AssertionError(f"{storm.inbox.depth()} messages still wait: {left[:3]}")


def prove(storm: Storm) -> None:
    """Nobody got a message twice, every message has its one row, and the row says what the guest has."""
    rows = _rows(storm)
    assert rows.keys() == storm.keys.keys(), (len(rows), len(storm.keys))
    heard, read = heard_by_guests(storm)
    twice = {key: times for key, times in heard.items() if times > 1}
    assert not twice, f"{len(twice)} messages were heard twice: {list(twice)[:5]}"
    assert not {text: times for text, times in read.items() if times > 1}, "transcripts were read twice"
    for key, row in rows.items():
        status, reason = row["status"], row["reason"]
        if key in storm.hostile:
            assert (status, reason, heard[key]) == ("rejected", "too_long", 0), row
        elif status == "sent":
            assert heard[key] == 1, row
            assert reason in (None, "transcript_refused"), row
            if storm.dialect == "platform" and reason is None:
                assert read[f"Message {storm.keys[key][1]}"] == 1, row
                assert row["transcript_message_id"], row
        elif status == "failed":
            assert reason == "forbidden", row
            assert "conversation:message:create" in row["detail"]
            assert heard[key] == 0, row
        else:
            assert (status, reason, storm.dialect) == ("in_doubt", "unconfirmed", "guide"), row
    left = {path.name for path in storm.inbox.folder.iterdir() if not path.name.startswith(".")}
    assert not left, left
    doubted = {path.stem for path in (storm.inbox.folder / ".in_doubt").glob("*.json")}
    assert doubted == {key for key, row in rows.items() if row["status"] == "in_doubt"}
    assert storm.tables.store.sizes("voice/") == {}


def prove_deletions(storm: Storm) -> None:
    """A quarter of an hour later, whatever was killed: every upload whose id came back is gone (guide)."""
    moved = dt.timedelta(minutes=16)
    storm.sandbox.break_with()
    storm.sandbox.state.clock.offset_seconds = moved.total_seconds()
    settings = settings_for(storm.sandbox.url, storm.folder, dialect=storm.dialect)
    store = storm.tables.store
    with opened_source(settings, CallStats(), Patience(first_wait_seconds=0.01)) as target:
        for number in range(60):
            tally = work_ledger(
                store, target, run_id=f"deletions-{number}", allowed=True, emit=lambda *_, **__: None,
                now=lambda: dt.datetime.now(dt.UTC) + moved,
            )  # fmt: skip
            if tally.whole and not tally.outcomes:
                break
    days = sorted({key.split("date=")[1][:10] for key in store.sizes("tables/media_retention/")})
    ledger = [row for day in days for row in storm.tables.rows("media_retention", dt.date.fromisoformat(day))]
    states = Counter(row["state"] for row in ledger)
    known = {row["subject_id"] for row in ledger}
    media = Guests(storm.sandbox).get("media")
    if storm.dialect == "platform":
        assert set(states) == {"not_offered"}, states
        return
    assert set(states) <= {"deleted", "gone"}, states
    assert not [each for each in media if each["id"] in known and not each["gone"]]
    assert len(media) >= len(storm.keys) - len(storm.hostile), "the source still tells what it had"
    sent = {each["media_id"] for message in Guests(storm.sandbox).get("guest") for each in message["media"]}
    assert sent <= known, "what reached a guest was scheduled for deletion"
    orphans = [each for each in media if each["id"] not in known]
    storm.lost_uploads = len(orphans)
    assert len(orphans) <= sum(row["uploads_lost"] for row in _rows(storm).values())


def heard_by_guests(storm: Storm) -> tuple[Counter[str], Counter[str]]:
    """How often each message key was heard and each transcript was read; each conversation in order."""
    guests = Guests(storm.sandbox)
    names = {each["id"]: each["name"].partition(".")[0] for each in guests.get("media")}
    heard, read = Counter[str](), Counter[str]()
    order: defaultdict[str, list[int]] = defaultdict(list)
    for message in guests.get("guest"):
        if message["text"]:
            read[message["text"]] += 1
        for media in message["media"]:
            key = names[media["media_id"]]
            heard[key] += 1
            order[message["conversation_id"]].append(storm.keys[key][1])
    for conversation, numbers in order.items():
        assert numbers == sorted(numbers), f"{conversation} heard {numbers}"
    return heard, read


def _rows(storm: Storm) -> dict[str, Row]:
    found = [row for _, row in every(storm.tables)]
    assert len(found) == len({row["message_key"] for row in found}), "each message has one row"
    return {row["message_key"]: row for row in found}


def _started(storm: Storm, kill_at: str = "") -> subprocess.Popen[bytes]:
    storm.runs += 1
    command = [sys.executable, "-m", "media_pipeline_tests.voice_storm", "--run", "--kill-at", kill_at]
    with (storm.folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, env=storm.variables, cwd=storm.folder, stdout=log, stderr=log)


def _run(kill_at: str) -> int:
    """The killed process: the job for each day of which something waits, with what the environment says."""
    voice_way.SETTLED = SETTLED
    step, _, nth = kill_at.partition(":")
    if step:
        _arm(step, int(nth))
    settings, today = Settings.load(), dt.datetime.now(dt.UTC).date()
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_definitions(settings, resources=resources_for(settings)).resolve_job_def("messaging")
        for day in (today - dt.timedelta(days=1), today):
            result = job.execute_in_process(
                instance=instance, partition_key=str(day), run_config=QUIET, raise_on_error=False,
                asset_selection=[dg.AssetKey(TABLE)],
            )  # fmt: skip
            for event in result.all_events:
                if event.is_step_failure:
                    print(event.message, event.step_failure_data.error, flush=True)
            if not result.success:
                return 1
    return 0


def _arm(step: str, nth: int) -> None:
    """kill -9 of this process, the nth time that it comes to a step."""
    seen = Counter[str]()

    def came(name: str) -> None:
        seen[name] += 1
        if name == step and seen[name] >= nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(
        owner: Any, name: str, before: Callable[..., Iterator[str]], after: Callable[..., Iterator[str]]
    ) -> None:
        inner = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            for each in before(*arguments):
                came(each)
            result = inner(*arguments, **named)
            for each in after(*arguments):
                came(each)
            return result

        setattr(owner, name, wrapped)

    def reply(_: object, progress: voice_state.Progress) -> Iterator[str]:
        names = {"uploaded": "reply_to_upload", "sent": "reply_to_send"}
        if progress.step in names:
            yield names[progress.step]
        if progress.transcript_message_id:
            yield "reply_to_text"

    def put(_: object, progress: voice_state.Progress) -> Iterator[str]:
        yield progress.step

    def nothing(*_: object) -> Iterator[str]:
        yield from ()

    def always(name: str) -> Callable[..., Iterator[str]]:
        return lambda *_: iter([name])

    around(voice_state.States, "put", reply, put)
    around(Ledger, "schedule", nothing, always("scheduled"))
    around(VoiceTable, "save", nothing, always("row"))
    around(voice_run, "settle_pair", always("files"), always("files_gone"))


def main() -> int:
    """Print what happened; an AssertionError says who got what twice, or what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--dialect", choices=["guide", "platform"], default="guide")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--kill-at", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return _run(options.kill_at)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voices-")))
        storm = rage(folder, messages=options.messages, kills=options.kills, dialect=options.dialect, seed=options.seed)
        rows = _rows(storm)
    statuses = Counter(row["status"] for row in rows.values())
    kills = dict(sorted(storm.kills.items()))
    print(
        f"{options.dialect}: {len(rows)} voice messages, {storm.kills.total()} kills ({kills}) "
        f"in {storm.runs} runs ({storm.too_late} ended before), {time.monotonic() - started:.0f} s: nobody got one "
        f"twice, all are settled ({dict(sorted(statuses.items()))}), every upload whose id came back is "
        f"{'deleted' if options.dialect == 'guide' else 'told as not deletable'}; "
        f"{storm.lost_uploads} uploads were never answered."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
