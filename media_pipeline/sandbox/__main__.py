"""`python -m media_pipeline.sandbox`: the sandbox from the command line. Options only; `serve` does the work."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

from media_pipeline.sandbox.faults import RuleError
from media_pipeline.sandbox.options import OptionsError, SandboxOptions, yesterday
from media_pipeline.sandbox.serve import serve


def options_from(arguments: Sequence[str] | None = None) -> SandboxOptions:
    """Options from command-line arguments. Raises OptionsError; exits on unknown ones as argparse does."""
    defaults = SandboxOptions()
    parser = argparse.ArgumentParser(
        prog="python -m media_pipeline.sandbox",
        description="A local, deterministic Genesys Cloud org that speaks both dialects.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default=defaults.host, help="loopback address to listen on")
    add("--port", type=int, default=defaults.port, help="port; 0 = any free one")
    add("--seed", type=int, default=defaults.seed, help="which org: equal seeds give equal bytes")
    add("--days", type=int, default=defaults.days, help="how many days, the last one included")
    add("--per-day", type=int, default=defaults.per_day, help="recordings a day")
    add("--messages-per-day", type=int, default=defaults.messages_per_day, help="message conversations a day")
    add("--end", type=dt.date.fromisoformat, default=yesterday(), help="last day, YYYY-MM-DD (UTC)")
    add("--rules", type=Path, default=None, help="TOML file of faults")
    add("--bodies", choices=("speech", "tiny"), default=defaults.bodies, help="spoken calls, or a few bytes each")
    add("--huge-mb", type=int, default=defaults.huge_mb, help="size in MB of each day's first recording; 0 = ordinary")
    add("--client-id", default=defaults.client_id, help="OAuth client id that is accepted")
    add("--client-secret", default=defaults.client_secret, help="OAuth client secret that is accepted")
    add("--token-seconds", type=int, default=defaults.token_seconds, help="life of a token")
    add("--link-seconds", type=int, default=defaults.link_seconds, help="life of a download link")
    add("--transcode-seconds", type=int, default=0, help="when recordings in preparation become ready; 0 = never")
    add("--rate-limit", type=int, default=defaults.rate_limit, help="API calls a minute and client; 0 = any number")
    add("--lacks", action="append", default=[], metavar="PERMISSION", help="permission the client lacks; repeatable")
    add("--latency-ms", type=int, default=defaults.latency_ms, help="wait before every answer")
    chosen = vars(parser.parse_args(arguments))
    return SandboxOptions(**chosen | {"lacks": tuple(chosen["lacks"])})


def main() -> int:
    """Run a sandbox; 2 when the options cannot work."""
    try:
        serve(options_from())
    except (OptionsError, RuleError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
