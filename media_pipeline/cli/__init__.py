"""media-pipeline: the command line. Commands parse, call one room, and print; they decide nothing."""

from __future__ import annotations

import typer

from media_pipeline.cli.archive import explain, export, verify
from media_pipeline.cli.callbacks import app as _callbacks
from media_pipeline.cli.holds import app as _hold
from media_pipeline.cli.org import doctor, plan
from media_pipeline.cli.privacy import redact, redact_audio
from media_pipeline.cli.report import compact, report
from media_pipeline.cli.service import link, serve, tokens
from media_pipeline.cli.sql import sql
from media_pipeline.cli.trying import demo, sandbox
from media_pipeline.cli.uploads import share
from media_pipeline.cli.voice import app as _voice

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Genesys Cloud media, complete and verified.",
)
_commands = (
    export,
    verify,
    explain,
    sql,
    report,
    compact,
    share,
    redact,
    redact_audio,
    doctor,
    plan,
    serve,
    link,
    sandbox,
    demo,
)
for _command in _commands:
    app.command()(_command)
app.add_typer(_callbacks, name="callbacks")
app.add_typer(tokens, name="token")
app.add_typer(_hold, name="hold")
app.add_typer(_voice, name="voice")
