"""Everything one running sandbox holds, put together once; the operations share it."""

from __future__ import annotations

import dataclasses

from media_pipeline.sandbox.clock import Clock
from media_pipeline.sandbox.credentials import Signer
from media_pipeline.sandbox.fault_kinds import KINDS
from media_pipeline.sandbox.faults import Rules
from media_pipeline.sandbox.listing import Listing
from media_pipeline.sandbox.media import Media
from media_pipeline.sandbox.messaging.store import Messaging
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.org import Org
from media_pipeline.sandbox.platform.batches import Batch
from media_pipeline.sandbox.platform.conversations import Conversations
from media_pipeline.sandbox.platform.details import Details, Found
from media_pipeline.sandbox.platform.facts import Change
from media_pipeline.sandbox.platform.pending import Pendings
from media_pipeline.sandbox.platform.permissions import KNOWN
from media_pipeline.sandbox.platform.recordings import Transcodes
from media_pipeline.sandbox.rate import RateWindow
from media_pipeline.sandbox.stats import Stats
from media_pipeline.sandbox.written import Annotations

STORAGE_LIMIT_MB = 500_000


@dataclasses.dataclass
class Settings:
    """What can be changed while the sandbox runs (`PUT /_sandbox/options`)."""

    link_seconds: int
    token_seconds: int
    latency_ms: int
    rate_limit: int
    rate_window_seconds: int = 60
    playback_seconds: int = 3_600
    """Life of the links of single recordings; those of batches and of the guides live `link_seconds`."""
    prepare_polls: int = 2
    """A job or batch is ready at so many questions after its state ..."""
    prepare_seconds: int = 0
    """... or, when this is set, so long after it was asked for."""
    transcode_polls: int = 1
    """So many answers of a recording's media are 202."""
    analytics_lag_hours: int = 0
    """How far the analytics data lake is behind."""
    storage_limit_mb: int = STORAGE_LIMIT_MB
    event_history: int = 20_000
    """So many events of the stream are kept."""
    event_retry_ms: int = 3_000
    heartbeat_seconds: int = 15
    """0 = no heartbeats."""
    media_polls: int = 2
    """An uploaded medium is valid or invalid at so many questions after its state."""
    upload_seconds: int = 600
    """Life of the links that media are uploaded to."""
    outbound_audio: int = 0
    """Whether the supported content profile lets audio out to guests (published API)."""


class State:
    """The parts of one sandbox. Raises RuleError when the options name a bad rules file."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.settings = _settings(options)
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
        self.permissions = frozenset(KNOWN) - set(options.lacks)
        self.conversations = Conversations(self.org, self.media, self.listing, options.huge_mb)
        self.found = Found(self)
        self.jobs: Pendings[tuple[Details, int | None]] = Pendings(lambda number: self.org.named_id("job", number))
        self.batches: Pendings[Batch] = Pendings(lambda number: self.org.named_id("batch", number))
        self.protected: frozenset[str] = frozenset()
        """Conversations that may not be deleted."""
        self.changes: dict[int, Change] = {}
        """What clients set of recordings, by ordinal."""
        self.messaging = Messaging(self.org, self.clock, self.rules, self.settings, options.messages_per_day)
        self.closing = False
        """Whether the sandbox is ending: open streams end too."""
        self.annotations = Annotations()
        self.stats = Stats()
        self.forget()
        if options.rules is not None:
            self.rules.load(options.rules)

    def forget(self) -> None:
        """Count from nothing: requests, the rate, and who asked for which recording's media."""
        self.stats.reset()
        self.rate = RateWindow()
        self.transcodes = Transcodes()

    def restore(self) -> None:
        """As it was started. Jobs and batches are kept: their ids never come again."""
        self.rules.replace({})
        if self.options.rules is not None:
            self.rules.load(self.options.rules)
        self.clock.offset_seconds = 0.0
        self.settings = _settings(self.options)
        self.messaging.restart(self.settings)
        self.permissions = frozenset(KNOWN) - set(self.options.lacks)
        self.protected = frozenset()
        self.changes = {}
        self.annotations = Annotations()
        self.forget()

    def _transcoded(self) -> bool:
        wait = self.options.transcode_seconds
        return wait > 0 and self.clock.seconds() >= self._started + wait


def _settings(options: SandboxOptions) -> Settings:
    return Settings(options.link_seconds, options.token_seconds, options.latency_ms, options.rate_limit)
