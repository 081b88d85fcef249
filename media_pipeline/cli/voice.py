"""Voice messages that need a person: voice list, voice resolve."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer

from media_pipeline.console import ERR, OUT, explained, stop

app = typer.Typer(no_args_is_help=True, help="Voice messages that need a person.")


@app.command("list")
def list_messages(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Name the messages that are in doubt or failed, those in doubt first. Exit code 1: there are some."""
    from media_pipeline import printing
    from media_pipeline.messaging.voice_table import every, troubled
    from media_pipeline.settings import Settings
    from media_pipeline.storage.opening import open_store
    from media_pipeline.tables.partition import Tables

    with explained(), ERR.status("Looking through the days ..."):
        settings = Settings.load()
        tables = Tables(open_store(settings.root, settings.spool, settings.concurrency))
        rows = troubled(row for _, row in every(tables))
    if as_json:
        typer.echo(printing.as_json([{**row, "received_at": row["received_at"].isoformat()} for row in rows]))
    else:
        for row in rows:
            told = f"{row['message_key']}  {row['status']:8}  {row['received_at']:%Y-%m-%d %H:%M}  {row['detail']}"
            OUT.print(printing.printable(told), markup=False, highlight=False, soft_wrap=True)
        if not rows:
            OUT.print("No voice message needs a person.")
    raise typer.Exit(1 if rows else 0)


@app.command()
def resolve(
    message_key: Annotated[str, typer.Argument(help="Key of the message.", show_default=False)],
    sent: Annotated[bool, typer.Option("--sent", help="The guest has it.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="The guest does not have it: send it again.")] = False,
    who: Annotated[str | None, typer.Option(help="Who decides; default: the user of this machine.")] = None,
) -> None:
    """Settle a message that is in doubt (or, with --resend, one that failed), with an entry in the audit log."""
    import getpass

    from media_pipeline.audit.log import AuditLog
    from media_pipeline.messaging.inbox import Inbox
    from media_pipeline.messaging.voice_run import utc_now
    from media_pipeline.messaging.voice_settling import send_again, settle_as_sent
    from media_pipeline.messaging.voice_state import TABLE
    from media_pipeline.settings import Settings
    from media_pipeline.storage.lease import Lease
    from media_pipeline.storage.opening import open_store
    from media_pipeline.tables.partition import Tables
    from media_pipeline.tables.paths import work_lease_key

    if sent == resend:
        raise stop("Say what became of it in one way: --sent or --resend.")
    with explained(), ERR.status("Waiting for a run to end, if one is at work ..."):
        settings, now, run_id = Settings.load(), utc_now(), f"voice-{uuid.uuid4().hex[:12]}"
        store = open_store(settings.root, settings.spool, settings.concurrency)
        lease = Lease(store, work_lease_key(TABLE), "The inbox of voice messages", run_id)
        lease.acquire()
        audit = AuditLog(store, settings.spool, now.date(), run_id)
        try:
            inbox = Inbox(settings.inbox_folder) if settings.inbox_folder else None
            settle = settle_as_sent if sent else send_again
            row = settle(Tables(store), inbox, message_key, who=who or getpass.getuser(), emit=audit.emit, now=now)
        finally:
            audit.close()
            lease.release()
    what = "is told as sent" if sent else "waits in the inbox, and is sent with the next run"
    OUT.print(f"The voice message {row['message_key']} {what}.", markup=False, highlight=False)
