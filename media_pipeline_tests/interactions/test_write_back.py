"""When a payload is sent: apart from the one before it, after its intent, and not once another run has the day."""

import threading
import time
from collections.abc import Sequence

import pytest

from media_pipeline.genesys.errors import AuthenticationError
from media_pipeline.genesys.source import Annotation
from media_pipeline.interactions.write_back import SENT, UNCHANGED, WriteBack

SHA256 = "0" * 64
BETWEEN_SECONDS = 0.05


class Log:
    """A target and a ledger that remember in which order they were called."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, float]] = []
        self.confirmed: set[str] = set()
        self.fails = False

    def _add(self, what: str, identifier: str) -> None:
        self.events.append((what, identifier, time.monotonic()))

    def is_confirmed(self, identifier: str, sha256: str) -> bool:
        return identifier in self.confirmed

    def intend(self, identifier: str, sha256: str) -> None:
        self._add("intend", identifier)

    def confirm(self, identifier: str, sha256: str) -> None:
        self._add("confirm", identifier)
        self.confirmed.add(identifier)

    def not_carried(self, annotations: Sequence[Annotation]) -> dict[str, tuple[str, str]]:
        return {}

    def annotate(self, interaction_id: str, annotations: Sequence[Annotation]) -> bool:
        self._add("annotate", interaction_id)
        if self.fails:
            raise AuthenticationError("The token was refused.")
        return True


@pytest.fixture
def log() -> Log:
    return Log()


def writing(log: Log, **options) -> WriteBack:
    known = {"allowed": True, "still_ours": lambda: None, "told": lambda *_: None, "seconds_between": BETWEEN_SECONDS}
    return WriteBack(log, log, **known | options)


def test_threads_send_one_after_the_other_and_apart(log):
    write_back = writing(log)
    threads = [threading.Thread(target=write_back.write, args=(str(n), [], SHA256)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    begun = sorted(at for what, _, at in log.events if what == "intend")
    # each waits for its own time, by the clock that is read here, too; a late one may come right before the next
    assert begun[-1] - begun[0] >= (len(threads) - 1) * BETWEEN_SECONDS * 0.9


def test_the_intent_comes_before_the_call_and_the_confirmation_after_it(log):
    write_back = writing(log)
    assert write_back.write("a", [], SHA256) == SENT
    assert [what for what, _, _ in log.events] == ["intend", "annotate", "confirm"]
    assert write_back.write("a", [], SHA256) == UNCHANGED
    assert len(log.events) == 3


def test_nothing_is_sent_once_another_run_has_the_day(log):
    def gone() -> None:
        raise RuntimeError("taken over")

    with pytest.raises(RuntimeError):
        writing(log, still_ours=gone).write("a", [], SHA256)
    assert log.events == []


def test_a_refused_token_ends_the_run_and_leaves_nothing_confirmed(log):
    log.fails = True
    with pytest.raises(AuthenticationError):
        writing(log).write("a", [], SHA256)
    assert log.confirmed == set()
