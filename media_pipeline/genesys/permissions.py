"""Which permission each published operation needs, in one place: for errors, for the doctor, for the README.

Source: "Requires ANY / ALL permissions" of the official Python SDK's docs (GENESYS_API.md, sources D and S). The OAuth
client needs a role with these for every division whose recordings are exported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

VIEW = "recording:recording:view"
SENSITIVE = "recording:recording:viewSensitiveData"
DETAILS = "analytics:conversationDetail:view"
SPEECH = "speechAndTextAnalytics:data:view"


NONE_NEEDED = "none"
"""Where no permission is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What a part of the product needs: its operations as they are counted, and permissions, `any` or `all` of them."""

    name: str
    operations: tuple[str, ...]
    permissions: tuple[str, ...]
    needs: Literal["any", "all"] = "all"
    without: str
    writes: bool = False
    """Whether it changes the org, which is done with MEDIA_ALLOW_WRITE_BACK=1 only."""
    deletes: bool = False
    """Whether it deletes in the org, which is done with MEDIA_ALLOW_REMOTE_DELETE=1 only."""

    @property
    def sentence(self) -> str:
        """The permissions as a person would list them."""
        return (" or " if self.needs == "any" else " and ").join(self.permissions) or NONE_NEEDED


FEATURES = (
    Feature(
        name="list a day",
        operations=("availability", "job_submit", "job_state", "job_results", "query"),
        permissions=(DETAILS,),
        without="no day can be exported",
    ),
    Feature(
        name="recordings and their links",
        operations=("batch_submit", "batch_state", "metadata"),
        permissions=(VIEW,),
        without="no day can be exported",
    ),
    Feature(
        name="recordings with sensitive data (PCI, PII)",
        operations=(),
        permissions=(SENSITIVE,),
        without="such recordings are listed but not delivered, and their day is not complete",
    ),
    Feature(
        name="transcripts",
        operations=("transcript_url",),
        permissions=(VIEW, SPEECH),
        without="transcripts are `forbidden`; the day is complete without them",
    ),
    Feature(
        name="dates of deletion (retention sweep)",
        operations=("retention",),
        permissions=(VIEW,),
        without="the weekly retention sweep fails; nothing warns of recordings that die before they are exported",
    ),
    Feature(
        name="files of message guests",
        operations=("message_conversation", "message_details", "message_media"),
        permissions=("conversation:message:view", "conversation:webmessaging:view"),
        needs="any",
        without="no file that a guest sends is noticed or fetched",
    ),
    Feature(
        name="context of guest files",
        operations=(),
        permissions=("conversation:communication:view",),
        without="files of guests are stored, and their `context` is `failed`",
        writes=True,
    ),
    Feature(
        name="annotations written back (interactions)",
        operations=("conversation", "participant_attributes"),
        permissions=("conversation:communication:view",),
        without="annotations are `failed` / `forbidden`",
        writes=True,
    ),
    Feature(
        name="deletion of recordings (retention)",
        operations=("recording_change",),
        permissions=("recording:recording:editRetention",),
        without="recordings that are due are `failed` / `forbidden` in media_retention",
        deletes=True,
    ),
    Feature(
        name="protection of held conversations",
        operations=("protection",),
        permissions=("recording:deletionProtection:apply", "recording:deletionProtection:revoke"),
        without="a hold keeps us from deleting, and nobody else",
        writes=True,
    ),
    Feature(
        name="voice messages to guests",
        operations=("message_media_upload", "message_create"),
        permissions=("conversation:message:create", "conversation:webmessaging:create"),
        needs="any",
        without="voice messages are `failed` / `forbidden`",
        writes=True,
    ),
    Feature(name="how long links live", operations=("settings",), permissions=(), without="60 minutes are assumed"),
    Feature(name="storage in use", operations=("usage",), permissions=(), without="storage_quota has no row"),
)
"""Every feature of the platform dialect."""

_NAME = re.compile(r"\b[A-Za-z]+:[A-Za-z]+:(?:[A-Za-z]+\b|\*)")
_MOST_NAMED = 5


GUIDE_FEATURES = (
    Feature(
        name="list a day",
        operations=("list", "quota"),
        permissions=("recording:read",),
        without="no day can be exported",
    ),
    Feature(
        name="recordings and their links",
        operations=("media",),
        permissions=("media:view",),
        without="no day can be exported",
    ),
    Feature(
        name="transcripts",
        operations=("transcript",),
        permissions=("transcript:read",),
        without="transcripts are `forbidden`; the day is complete without them",
    ),
    Feature(
        name="annotations written back (interactions)",
        operations=("interaction_metadata",),
        permissions=("interaction:metadata:write",),
        without="annotations are `failed` / `forbidden`",
        writes=True,
    ),
    Feature(
        name="files of message guests",
        operations=("events", "guest_file"),
        permissions=("conversation:read", "media:read"),
        without="no file that a guest sends is noticed or fetched",
    ),
    Feature(
        name="context of guest files",
        operations=("context",),
        permissions=("conversation:write",),
        without="files of guests are stored, and their `context` is `failed`",
        writes=True,
    ),
    Feature(
        name="voice messages to guests",
        operations=("attachment_upload", "message_send"),
        permissions=("media:upload", "webchat:write", "conversations:write"),
        without="voice messages are `failed` / `forbidden`",
        writes=True,
    ),
    Feature(
        name="deletion of media (retention)",
        operations=("media_retention", "attachment_delete"),
        permissions=("archivings:export", "media:delete"),
        without="media that are due are `failed` / `forbidden` in media_retention",
        deletes=True,
    ),
)
"""The guides' names for what their endpoints need; no endpoint of theirs tells what a client has."""


def features_of(dialect: str, *, writes_back: bool, deletes: bool) -> tuple[Feature, ...]:
    """The features that a client of this dialect uses."""
    features = FEATURES if dialect == "platform" else GUIDE_FEATURES
    return tuple(
        feature for feature in features if (writes_back or not feature.writes) and (deletes or not feature.deletes)
    )


def needed_for(operation: str) -> str:
    """The permissions of the feature that makes this call, in words; `none` where none is listed."""
    return next((feature.sentence for feature in FEATURES if operation in feature.operations), NONE_NEEDED)


def named_in(text: str) -> str:
    """The permissions that a refusal names, in words; empty when it names none."""
    return " or ".join(list(dict.fromkeys(_NAME.findall(text)))[:_MOST_NAMED])
