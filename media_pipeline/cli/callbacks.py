"""media-pipeline callbacks: what events of the archive are on their way, and what to do about those that are not."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from media_pipeline.console import ERR, OUT, explained, stop

if TYPE_CHECKING:
    from media_pipeline.notify.delivery import Deliverer
    from media_pipeline.notify.queue import Delivery, Queue

SHOWN = 50
DELIVERY_SECONDS = 600.0
TAKING_SECONDS = 30.0

app = typer.Typer(
    no_args_is_help=True, help="Events for MEDIA_WEBHOOKS: what is pending or dead; retry, drop, deliver."
)


@app.command("list")
def list_(
    every: Annotated[
        bool, typer.Option("--all", help="Also what was delivered or dropped in the last 30 days.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List messages that are pending, and dead ones, with the last problem. Of receivers only the host is shown.

    Exit code 0: none is dead. 1: some are.
    """
    from media_pipeline import printing
    from media_pipeline.notify.queue import DEAD, DELIVERED, DROPPED, PENDING

    with _opened() as (queue, deliverer):
        _take_in(deliverer)
        found = list(queue.all(*((PENDING, DEAD, DELIVERED, DROPPED) if every else (PENDING, DEAD))))
        counts = queue.counts()
    if as_json:
        typer.echo(printing.as_json({"counts": counts, "messages": [_facts(each) for each in found]}))
    else:
        _show(found, counts)
    raise typer.Exit(1 if counts.get(DEAD) else 0)


@app.command()
def retry(
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids of messages.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are pending or dead.")] = False,
) -> None:
    """Begin anew with messages: due at once, all tries before them. The sensor sends them, or: callbacks deliver.

    Exit code 0: done. 1: there is no such message. 2: bad usage.
    """
    _check(message_ids, every)
    with _opened() as (queue, deliverer):
        _take_in(deliverer)
        unknown = _unknown(queue, message_ids)
        count = queue.retry(None if every else message_ids)
    OUT.print(f"{count} message(s) are due now.", highlight=False)
    raise typer.Exit(1 if unknown else 0)


@app.command()
def drop(
    message_ids: Annotated[list[str] | None, typer.Argument(help="Ids of messages.", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all-dead", help="All that are dead.")] = False,
) -> None:
    """Give messages up for good.

    Exit code 0: done. 1: there is no such message. 2: bad usage.
    """
    _check(message_ids, every, "--all-dead")
    with _opened() as (queue, deliverer):
        _take_in(deliverer)
        unknown = _unknown(queue, message_ids)
        count = queue.drop(None if every else message_ids)
    OUT.print(f"{count} message(s) were dropped.", highlight=False)
    raise typer.Exit(1 if unknown else 0)


@app.command()
def deliver() -> None:
    """Send what is due now, for ten minutes at most: for machines without a Dagster daemon.

    Exit code 0: nothing is left that is due. 1: something was not taken, is left, or is dead. 2: it cannot be done.
    """
    from media_pipeline import printing
    from media_pipeline.notify.queue import DEAD

    with _opened() as (queue, deliverer):
        if deliverer is None:
            raise stop("MEDIA_WEBHOOKS is not set: there is nobody to deliver to.")
        outcome = deliverer.deliver(DELIVERY_SECONDS)
        dead = queue.counts().get(DEAD, 0)
    if outcome.busy:
        raise stop("Another process is delivering right now.")
    for problem, times in sorted(outcome.problems.items()):
        ERR.print(
            printing.printable(f"Not delivered ({times}): {problem}."), style="red", markup=False, highlight=False
        )
    OUT.print(f"{outcome.delivered} delivered, {outcome.failed} not taken, {dead} dead.", highlight=False)
    if outcome.left:
        ERR.print("Time was up before all that is due was tried: run it again.", style="red", highlight=False)
    raise typer.Exit(1 if outcome.problems or outcome.left or dead else 0)


@contextmanager
def _opened() -> Iterator[tuple[Queue, Deliverer | None]]:
    """The deployment's queue, and a deliverer where there are webhooks."""
    from media_pipeline.notify.delivery import Deliverer
    from media_pipeline.notify.queue import Queue
    from media_pipeline.notify.webhooks import parse_webhooks
    from media_pipeline.settings import Settings
    from media_pipeline.storage.opening import open_store

    with explained():
        settings = Settings.load()
        receivers = parse_webhooks(settings.webhooks.get_secret_value(), settings.webhook_key.get_secret_value())
        store = open_store(settings.root, settings.spool, settings.concurrency)
        with Queue(settings.spool, store.url) as queue:
            yield queue, Deliverer(store, queue, receivers) if receivers else None


def _take_in(deliverer: Deliverer | None) -> None:
    """What runs announced meanwhile is shown too."""
    from media_pipeline.notify.delivery import Outcome

    if deliverer is not None:
        deliverer.take_in(time.monotonic() + TAKING_SECONDS, Outcome())


def _check(message_ids: list[str] | None, every: bool, option: str = "--all") -> None:
    if bool(message_ids) == every:
        raise stop(f"Say which messages in one way: their ids, or {option}.")


def _unknown(queue: Queue, message_ids: list[str] | None) -> list[str]:
    """The ids that no pending or dead message has, which are named."""
    from media_pipeline import printing
    from media_pipeline.notify.queue import DEAD, PENDING

    known = {delivery.message_id for delivery in queue.all(PENDING, DEAD)} if message_ids else set()
    unknown = [each for each in message_ids or () if each not in known]
    for each in unknown:
        sentence = f"No message that is pending or dead has the id {each!r}: callbacks list shows their ids."
        ERR.print(printing.printable(sentence), style="red", markup=False, highlight=False)
    return unknown


def _facts(delivery: Delivery) -> dict[str, Any]:
    from media_pipeline.notify.queue import PENDING

    return {
        "id": delivery.message_id,
        "type": delivery.type,
        "date": delivery.date,
        "host": delivery.host,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "since": _moment(delivery.since),
        "next_try": _moment(delivery.due) if delivery.state == PENDING else None,
        "problem": delivery.problem,
    }


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _show(found: list[Delivery], counts: dict[str, int]) -> None:
    from rich.table import Table

    from media_pipeline.printing import printable

    if found:
        table = Table(box=None, pad_edge=False)
        table.add_column("id", no_wrap=True, min_width=max(len(each.message_id) for each in found[:SHOWN]))
        for name in ("event", "date", "to", "state", "tries", "next try", "problem"):
            table.add_column(name)
        for facts in map(_facts, found[:SHOWN]):
            names = ("id", "type", "date", "host", "state", "attempts", "next_try", "problem")
            table.add_row(*(printable("" if facts[name] is None else str(facts[name])) for name in names))
        OUT.print(table)
    said = ", ".join(f"{number} {state}" for state, number in counts.items()) or "none was ever announced"
    OUT.print(f"Messages: {said}." + (f" The first {SHOWN} are shown." if len(found) > SHOWN else ""), highlight=False)
