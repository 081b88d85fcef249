"""The transcript of a voice message where it is a message of its own: after the audio, once, never instead of it."""

from __future__ import annotations

from collections.abc import Collection

from media_pipeline.genesys.errors import GenesysError, NotFound
from media_pipeline.genesys.messaging_source import OutgoingVoice, SentMessages, Texts
from media_pipeline.messaging.voice_state import SENT, SENT_STEP, TEXTING
from media_pipeline.messaging.voice_way import NOT_TAKEN, Later, Way, unknown


def send_transcript(way: Way, texts: Texts | None, voice: OutgoingVoice | None) -> None:
    """Send it, unless it went with the audio or is there."""
    if texts is None or way.progress.transcript_message_id is not None:
        way.finish(SENT, None, None)
        return
    if voice is None:
        way.finish(SENT, "transcript_lost", "Its files were taken out of the inbox before its text was sent.")
        return
    try:
        message_id = texts.send_text(voice, lambda: way.announce(TEXTING, "texting_at"))
    except NOT_TAKEN as error:
        way.finish(SENT, "transcript_refused", f"The audio was sent, its transcript was not: {error}")
    except GenesysError as error:
        way.unsure(error, SENT_STEP, TEXTING)
    else:
        way.finish(SENT, None, None, transcript_message_id=message_id)


def look_up_transcript(
    way: Way, lookup: SentMessages | None, voice: OutgoingVoice | None, others: Collection[str]
) -> None:
    """Whether one that was not confirmed arrived; `others`: ids of other transcripts. Raises Later."""
    progress = way.progress
    if lookup is None or voice is None or progress.conversation_id is None or progress.texting_at is None:
        way.finish(SENT, "transcript_unconfirmed", "The audio was sent; whether its transcript was is not known.")
        return
    try:
        found = lookup.find_text(progress.conversation_id, voice.transcript, progress.texting_at, others)
    except NotFound as error:
        way.finish(SENT, "transcript_unconfirmed", f"The audio was sent; of its transcript: {error}")
        return
    except GenesysError as error:
        raise unknown(error) from error
    if found is not None:
        way.finish(SENT, None, None, transcript_message_id=found)
    elif way.is_fresh(progress.texting_at):
        raise Later("transcript_unconfirmed", "The audio was sent; its transcript is looked for in a minute.")
    else:
        way.save(step=SENT_STEP, reason=None, detail=None)
