"""To try it without an org: sandbox, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from media_pipeline.console import OUT, given_day, stop


def sandbox(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8099,
    seed: Annotated[int, typer.Option(help="Another seed, another org.")] = 7,
    days: Annotated[int, typer.Option(help="How many days there are recordings of.")] = 3,
    per_day: Annotated[int, typer.Option(help="Recordings a day.")] = 180,
    end: Annotated[
        str | None, typer.Option(help="The last of those days; default yesterday.", metavar="YYYY-MM-DD")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="A file of faults to rehearse (TOML).")] = None,
    transcode_seconds: Annotated[
        int, typer.Option(help="When recordings that are being prepared become ready; 0 = never.")
    ] = 0,
    rate_limit: Annotated[int, typer.Option(help="API calls a minute and client; 0 = any number.")] = 0,
    lacks: Annotated[
        list[str] | None, typer.Option(help="A permission the client lacks; repeat for more.", metavar="PERMISSION")
    ] = None,
) -> None:
    """Serve a local Genesys Cloud org with calls that speak; nothing leaves this machine."""
    try:
        from media_pipeline.sandbox.options import SandboxOptions
        from media_pipeline.sandbox.serve import serve
    except ModuleNotFoundError as error:
        raise stop(f"The sandbox needs {error.name}: pip install 'media-pipeline[sandbox]'.") from None
    try:
        chosen = {} if end is None else {"end": given_day(end)}
        serve(
            SandboxOptions(
                port=port,
                seed=seed,
                days=days,
                per_day=per_day,
                rules=rules,
                transcode_seconds=transcode_seconds,
                rate_limit=rate_limit,
                lacks=tuple(lacks or ()),
                **chosen,
            )
        )
    except (ValueError, OSError) as error:
        raise stop(error) from None


def demo(
    root: Annotated[
        Path | None,
        typer.Option(help="Where the demo's files go; default data/demo, with the dialect guide data/demo-guide."),
    ] = None,
    per_day: Annotated[int, typer.Option(min=1, help="Recordings of the day.")] = 180,
    dialect: Annotated[
        Literal["platform", "guide"], typer.Option(help="Which of the sandbox's two APIs.")
    ] = "platform",
) -> None:
    """Take yesterday from the sandbox to Parquet, and answer what an analyst would ask."""
    from media_pipeline.demo import ROOTS, DemoFailed, run_demo
    from media_pipeline.exporter import ExportFailed
    from media_pipeline.service.tokens import DOWNLOAD, LISTEN, new_token
    from media_pipeline.storage.base import StorageError

    try:
        code = run_demo(root or ROOTS[dialect], per_day, OUT, dialect, new_token("demo", [LISTEN, DOWNLOAD]))
    except (OSError, StorageError, DemoFailed, ExportFailed) as error:
        raise stop(error) from None
    raise typer.Exit(code)
