"""The published Platform API v2 over the sandbox's org: the same recordings, ids, times and bytes as the guide side.

`routes` says which path is which operation; each operation lives in the file of its subject. Links, faults, clock
and counters are the sandbox's own. `EXPLAINED_DIFFERENCES` names what the two dialects cannot say alike.
"""

EXPLAINED_DIFFERENCES = {
    "conversation": "The guide listing names none for 4 recordings of 180; here each has one, and may share it.",
    "clock": "A day's first recording (of 30 or more) belongs to a conversation that began 20 s before midnight; "
    "second recordings of a conversation start later than the conversation.",
    "files": "Slot 22 of 180 has a second file in the batch; the guide dialect delivers one file per recording.",
    "agents": "Slots 28 and 29 have two agents; the guide transcript calls both of them agent.",
    "states": "The guide's no_file is ARCHIVED and its missing is DELETED: the reason is finer, the status equal.",
    "checksum": "No MD5, file name or size before the download: the published API has no such fields.",
    "format": "Follows from the batch's content type: lower case, and opus is 'audio/ogg; codecs=opus'.",
    "speaker": "Phrases carry external or internal; where the guide drops the speaker, so does the phrase.",
    "quota": "Bytes used, without a limit.",
}
