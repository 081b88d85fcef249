"""Everything one running sandbox holds, put together once; the operations share it."""

from __future__ import annotations

import dataclasses

from media_pipeline.sandbox.clock import Clock
from media_pipeline.sandbox.credentials import Signer
from media_pipeline.sandbox.fault_kinds import KINDS
from media_pipeline.sandbox.faults import Rules
from media_pipeline.sandbox.listing import Listing
from media_pipeline.sandbox.media import Media
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.org import Org
from media_pipeline.sandbox.stats import Stats

STORAGE_LIMIT_MB = 500_000


@dataclasses.dataclass
class Settings:
    """What can be changed while the sandbox runs (`PUT /_sandbox/options`)."""

    link_seconds: int
    token_seconds: int
    latency_ms: int
    storage_limit_mb: int = STORAGE_LIMIT_MB


class State:
    """The parts of one sandbox. Raises RuleError when the options name a bad rules file."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.settings = Settings(options.link_seconds, options.token_seconds, options.latency_ms)
        self.clock = Clock()
        self._started = self.clock.seconds()
        self.org = Org(
            seed=options.seed,
            days=options.days,
            per_day=options.per_day,
            end=options.end,
            huge=options.huge_mb > 0,
            transcoded=self._transcoded,
        )
        self.media = Media(options.bodies, options.huge_mb)
        self.signer = Signer(options.seed, self.clock)
        self.rules = Rules(KINDS, options.seed)
        self.listing = Listing(self.org, self.rules, self.clock)
        self.stats = Stats()
        if options.rules is not None:
            self.rules.load(options.rules)

    def _transcoded(self) -> bool:
        wait = self.options.transcode_seconds
        return wait > 0 and self.clock.seconds() >= self._started + wait
