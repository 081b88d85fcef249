"""Holds on what would be deleted: hold add, hold release, hold list."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from media_pipeline.console import ERR, OUT, explained, stop

if TYPE_CHECKING:
    from media_pipeline.genesys.source import OrgSource
    from media_pipeline.messaging.holds import Hold
    from media_pipeline.messaging.keeping import Effect
    from media_pipeline.settings import Settings
    from media_pipeline.storage.base import ObjectStore

app = typer.Typer(no_args_is_help=True, help="What must not be deleted, whatever its time to live.")

WHO = typer.Option(help="Who asks for it.", show_default=False)
WHY = typer.Option(help="Why: a case, a request.", show_default=False)


@app.command()
def add(
    who: Annotated[str, WHO],
    why: Annotated[str, WHY],
    subject: Annotated[str | None, typer.Option(help="An attachment, object or entry by its id.")] = None,
    conversation: Annotated[str | None, typer.Option(help="All of a conversation.")] = None,
    recording: Annotated[str | None, typer.Option(help="A recording, and our objects of it.")] = None,
    day: Annotated[str | None, typer.Option(help="All of a UTC day, or scheduled on it.", metavar="DAY")] = None,
    until: Annotated[str | None, typer.Option(help="When it ends by itself (UTC); default: on release.")] = None,
) -> None:
    """Keep something from now on, and return when nothing that it covers can be deleted any more.

    Exit code 0: it holds. 1: it is recorded, and something that it covers may go or be gone. 2: bad usage.
    """
    from media_pipeline.genesys.errors import GenesysError
    from media_pipeline.messaging.deleting import utc_now
    from media_pipeline.messaging.holds import Holds
    from media_pipeline.storage.base import StorageError

    named = {"subject": subject, "conversation": conversation, "recording": recording, "day": day}
    chosen = [(kind, value) for kind, value in named.items() if value is not None]
    if len(chosen) != 1:
        raise stop("Say what to keep in one way: --subject, --conversation, --recording or --day.")
    end = _moment(until)
    with explained(), ERR.status("Writing the hold ...") as status:
        settings, store = _opened()
        now = utc_now()
        ((kind, value),) = chosen
        hold = Holds(store).add(kind, value, who=who, why=why, now=now, until=end)  # type: ignore[arg-type]
        status.update("Making sure of it: what a run is about to delete is waited for ...")
        try:
            effect = _made_good(settings, store, hold, now)
        except (GenesysError, StorageError) as error:
            OUT.print(
                f"Hold {hold.hold_id} is recorded, and runs that begin from now on keep what it covers. What is being "
                "deleted just now, or what Genesys Cloud was told to delete, may still go.",
                highlight=False,
            )
            _warn([str(error)])
            raise typer.Exit(1) from None
    counts = ", ".join(f"{number} {state}" for state, number in sorted(effect.states.items()))
    OUT.print(f"Hold {hold.hold_id}: of the ledger it covers {counts or 'nothing yet'}.", highlight=False)
    problems = list(effect.problems)
    if effect.in_doubt:
        problems.append(f"{effect.in_doubt} were marked by a run that died: they may be gone already.")
    if effect.under_way:
        problems.append(f"{effect.under_way} were being deleted as the hold came, by a run that is still at work.")
    if effect.told:
        problems.append(
            f"{effect.told} are still deleted by Genesys Cloud itself, which was told so: the next run takes that back."
        )
    _warn(problems)
    raise typer.Exit(0 if effect.holds and not effect.in_doubt else 1)


@app.command()
def release(
    hold_id: Annotated[str, typer.Argument(help="As hold list shows it.", show_default=False)],
    who: Annotated[str, WHO],
    why: Annotated[str, WHY],
) -> None:
    """End a hold: what it kept is deleted with the next runs. Exit code 2: there is none of this id."""
    from media_pipeline.audit.log import AuditLog
    from media_pipeline.messaging.deleting import utc_now
    from media_pipeline.messaging.holds import Holds

    with explained():
        settings, store = _opened()
        now = utc_now()
        hold = Holds(store).release(hold_id, who=who, why=why, now=now)
        if hold is None:
            raise stop(f"There is no hold {hold_id}: hold list shows them.")
        audit = AuditLog(store, settings.spool, now.date(), f"hold-{uuid.uuid4().hex[:12]}")
        try:
            audit.emit("hold_released", **_facts(hold))
        finally:
            audit.close()
    OUT.print(f"Hold {hold.hold_id} was released by {hold.released_by} at {hold.released_at}.", highlight=False)


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List holds, oldest first."""
    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from media_pipeline import printing
    from media_pipeline.messaging.deleting import utc_now
    from media_pipeline.messaging.holds import Holds

    with explained():
        _, store = _opened()
        now = utc_now()
        holds = [hold for hold in Holds(store).all() if every or hold.is_active(now)]
    if as_json:
        typer.echo(printing.as_json({"holds": [asdict(hold) | {"active": hold.is_active(now)} for hold in holds]}))
        return
    table = Table("hold", "keeps", "who", "why", "until", box=None, padding=(0, 2, 0, 0))
    for hold in holds:
        ends = "released" if hold.released_at else str(hold.until or "its release")
        cells = (hold.hold_id, f"{hold.kind} {hold.value}", hold.who, hold.why, ends)
        table.add_row(*(Text(printing.printable(cell)) for cell in cells), style=None if hold.is_active(now) else "dim")
    OUT.print(table if holds else "There are no holds.")


def _made_good(settings: Settings, store: ObjectStore, hold: Hold, now: dt.datetime) -> Effect:
    """What the hold came to, with its lines in the audit log; raises GenesysError and StorageError."""
    from media_pipeline.audit.log import AuditLog
    from media_pipeline.messaging.keeping import make_good

    run_id = f"hold-{uuid.uuid4().hex[:12]}"
    audit = AuditLog(store, settings.spool, now.date(), run_id)
    try:
        audit.emit("hold_added", **_facts(hold))
        with _source(settings) as source:
            return make_good(
                store,
                source,
                hold,
                run_id=run_id,
                allowed=settings.allow_remote_delete,
                protects=settings.allow_write_back,
                emit=audit.emit,
            )
    finally:
        audit.close()


@contextmanager
def _source(settings: Settings) -> Iterator[OrgSource | None]:
    """The org, to take back what it was told; None where there are no credentials for it."""
    from media_pipeline.connection import opened_source
    from media_pipeline.genesys.pacing import CallStats, Patience

    if not (settings.client_id and settings.client_secret.get_secret_value()):
        yield None
        return
    with opened_source(settings, CallStats(), Patience(retries=1)) as source:
        yield source


def _opened() -> tuple[Settings, ObjectStore]:
    from media_pipeline.settings import Settings
    from media_pipeline.storage.opening import open_store

    settings = Settings.load()
    return settings, open_store(settings.root, settings.spool, settings.concurrency)


def _moment(text: str | None) -> dt.datetime | None:
    """A moment as it was typed, in UTC where it names no zone; a day ends with its last moment."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-20"):
            return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC) + dt.timedelta(days=1)
        moment = dt.datetime.fromisoformat(text)
        moment = moment.astimezone(dt.UTC) if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    except OverflowError:
        raise stop(
            f"{text} lies beyond the last day there is, 9999-12-30: leave --until out to hold for good."
        ) from None
    except ValueError:
        raise stop(f"{text!r} is neither a day such as 2026-11-20 nor a moment such as 2026-11-20T15:00.") from None
    return moment


def _facts(hold: Hold) -> dict[str, object]:
    ended = {"released_by": hold.released_by, "released_why": hold.released_why}
    return {
        "hold_id": hold.hold_id,
        "kind": hold.kind,
        "value": hold.value,
        "who": hold.who,
        "why": hold.why,
        "until": None if hold.until is None else hold.until.isoformat(),
        **ended,
    }


def _warn(sentences: list[str]) -> None:
    from media_pipeline.printing import printable

    for sentence in sentences:
        ERR.print(printable(sentence), style="yellow", markup=False, highlight=False)
