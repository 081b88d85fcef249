"""Permissions: which each operation asks for, and how a client that lacks them is refused.

Source: "Requires ANY / ALL permissions" of the official SDK's API pages (GENESYS_API.md, table 1b).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from media_pipeline.sandbox.wire import Operation, Reply, refusal

RECORDING = "recording:recording:view"
TRANSCRIPT = "speechAndTextAnalytics:data:view"
CONVERSATION_DETAIL = "analytics:conversationDetail:view"
COMMUNICATION = "conversation:communication:view"
VIEWS = (
    RECORDING,
    "recording:recordingSegment:view",
    "recording:snippetRecording:view",
    "recording:screenRecording:view",
)
DETAILS = (CONVERSATION_DETAIL, "analytics:agentConversationDetail:view")
MESSAGE_CREATE = ("conversation:message:create", "conversation:webmessaging:create")
MESSAGE_UPLOAD = (*MESSAGE_CREATE, "conversation:socialmedia:create")
MESSAGE_VIEW = ("conversation:message:view", "conversation:webmessaging:view")
MESSAGE_MEDIA = "conversation:messageMedia:view"
RETENTION = tuple(
    f"recording:{entity}:{action}"
    for action in ("view", "editRetention", "restore")
    for entity in ("recording", "screenRecording", "snippetRecording")
)
"""Any of these lets a client change a recording."""

KNOWN = (
    *VIEWS,
    "recording:recording:viewSensitiveData",
    *DETAILS,
    TRANSCRIPT,
    COMMUNICATION,
    "recording:settings:editUrlExpiration",
    "recording:deletionProtection:apply",
    "recording:deletionProtection:revoke",
    "oauth:client:view",
    "authorization:role:view",
    *MESSAGE_UPLOAD,
    *MESSAGE_VIEW,
    MESSAGE_MEDIA,
    *RETENTION[3:],
)
"""All that the sandbox's client has unless told otherwise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Needed:
    """What an operation asks for: any one of some, or all of them."""

    names: tuple[str, ...] = ()
    every: bool = False

    def refusal(self, operation: Operation, held: Collection[str]) -> Reply | None:
        """The 403 for a client with these permissions; None when they suffice."""
        absent = [name for name in self.names if name not in held]
        if self.every and absent:
            return _refused(operation, "missing.permissions", "You are missing the following permission(s)", absent)
        if not self.every and self.names and len(absent) == len(self.names):
            words = "You must have at least one of the following permissions assigned"
            return _refused(operation, "missing.any.permissions", words, absent)
        return None


NOTHING = Needed()


def _refused(operation: Operation, code: str, words: str, names: list[str]) -> Reply:
    listed = ", ".join(names)
    message = f"Unable to perform the requested action. {words}: {listed}"
    return refusal(operation, 403, code, message, details={"messageParams": {"permissions": listed}})
