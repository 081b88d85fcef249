"""The HTTP service, its tokens and links to what it plays: serve, token new, link."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from media_pipeline.console import explained, stop

tokens = typer.Typer(no_args_is_help=True, help="Tokens of the service.")


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; off loopback only with tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
) -> None:
    """Serve the HTTP API: recordings to play, voice messages in, cleanup, health, metrics. Ends in peace on SIGTERM."""
    try:
        from media_pipeline.service.serve import serve as run
    except ModuleNotFoundError as error:
        raise stop(f"The service needs {error.name}: pip install 'media-pipeline[serve]'.") from None
    from media_pipeline.settings import Settings

    with explained():
        run(Settings.load(), host, port, lambda sentence: print(sentence, flush=True))


def link(
    recording_id: Annotated[str, typer.Argument(help="The recording's id at Genesys Cloud.", show_default=False)],
    subject: Annotated[str, typer.Option(help="Who is going to listen; plays are logged with it.", show_default=False)],
    expires: Annotated[int, typer.Option(help="Seconds it works; a week at most.")] = 900,
    file: Annotated[int, typer.Option(min=0, help="Of a recording with several files.")] = 0,
    download: Annotated[bool, typer.Option("--download", help="It may be kept as a file.")] = False,
    redacted: Annotated[
        bool, typer.Option("--redacted", help="Silent where its transcript is redacted (archived WAV files).")
    ] = False,
    page: Annotated[bool, typer.Option("--page", help="Of the recording's page, which plays it.")] = False,
    base: Annotated[str, typer.Option(help="Where the service is reached.")] = "http://127.0.0.1:8080",
) -> None:
    """Sign a link that plays one recording for one person, through `media-pipeline serve`. Needs MEDIA_LINK_KEY."""
    from media_pipeline.listening import signed_link
    from media_pipeline.settings import Settings

    if download and redacted:
        raise stop("The original is not redacted: give --download or --redacted, not both.")
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", base):
        raise stop(f"--base {base!r} is not where a service is reached, such as https://media.example.com.")
    with explained():
        path = signed_link(
            Settings.load(),
            recording_id,
            subject=subject,
            seconds=expires,
            scope="download" if download else "listen-redacted" if redacted else "listen",
            file_index=file,
            page=page,
        )
    typer.echo(base.rstrip("/") + path)


@tokens.command("new")
def new_token(
    name: Annotated[str, typer.Option(help="Who will use it; audit lines carry this name.", show_default=False)],
    scope: Annotated[
        list[str], typer.Option(help="What it is for; repeat for more.", metavar="SCOPE", show_default=False)
    ],
) -> None:
    """Make a token for the service: shown once, kept nowhere; the entry for MEDIA_SERVICE_TOKENS holds its hash."""
    from media_pipeline.service.tokens import new_token as made

    with explained():
        token, entry = made(name, scope)
    typer.echo(f"token: {token}\nentry: {entry}")
