"""The HTTP service and its tokens: serve, token new."""

from __future__ import annotations

from typing import Annotated

import typer

from media_pipeline.console import explained, stop

tokens = typer.Typer(no_args_is_help=True, help="Tokens of the service.")


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; off loopback only with tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
) -> None:
    """Serve the HTTP API: voice messages in, cleanup, health and metrics. Ends on SIGTERM when requests are done."""
    try:
        from media_pipeline.service.serve import serve as run
    except ModuleNotFoundError as error:
        raise stop(f"The service needs {error.name}: pip install 'media-pipeline[serve]'.") from None
    from media_pipeline.settings import Settings

    with explained():
        run(Settings.load(), host, port, lambda sentence: print(sentence, flush=True))


@tokens.command("new")
def new_token(
    name: Annotated[str, typer.Option(help="Who will use it; audit lines carry this name.", show_default=False)],
    scope: Annotated[list[str], typer.Option(help="What it is for; repeat for more.", show_default=False)],
) -> None:
    """Make a token for the service: shown once, kept nowhere; the entry for MEDIA_SERVICE_TOKENS holds its hash."""
    from media_pipeline.service.tokens import new_token as made

    with explained():
        token, entry = made(name, scope)
    typer.echo(f"token: {token}\nentry: {entry}")
