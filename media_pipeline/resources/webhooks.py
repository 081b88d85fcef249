"""MEDIA_WEBHOOKS and MEDIA_WEBHOOK_KEY as a Dagster resource; neither URLs nor keys ever show."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from media_pipeline.notify.webhooks import Webhook, parse_webhooks


class WebhooksResource(dg.ConfigurableResource):
    """Who gets messages and events, and what they are signed with."""

    urls: str = Field("", description="Comma-separated URLs.", repr=False)
    signing_keys: str = Field(
        "", description="Keys that messages are signed with; without one they are not.", repr=False
    )
    ui_url: str = Field("http://127.0.0.1:3000", description="Dagster's UI, for links to runs.")

    @property
    def receivers(self) -> list[Webhook]:
        """The webhooks; raises ConfigurationError."""
        return parse_webhooks(self.urls, self.signing_keys)

    def run_link(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.ui_url.rstrip('/')}/runs/{run_id}"
