"""Which number a file of a recording has: the one an earlier listing gave it, whatever else came or went since.

A delivery has no numbers of its own, only an order, which a file that comes later or is left out once would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count

from media_pipeline.genesys.source import Known


def places(now: Sequence[str | None], earlier: Sequence[Known]) -> list[int]:
    """File indexes for the files of one recording, each by its `source_file`, None for one without a link.

    A file that is known keeps its index. A new one takes that of a file that never came, else a further one; one
    without a link that of a file that did not come now. Where as many files came as were known and none of them is,
    the source keeps them elsewhere now: their order holds.
    """
    if not earlier or not any(now):
        return list(range(len(now)))
    known = {one.source_file: one.file_index for one in earlier if one.source_file is not None}
    found = {number: known[file] for number, file in enumerate(now) if file is not None and file in known}
    new = [number for number, file in enumerate(now) if file is not None and number not in found]
    came = [one for one in earlier if one.source_file is not None or one.file_state == "available"]
    standing = sorted(one.file_index for one in [one for one in came if one.file_state != "deleted"] or came)
    if not found and len(new) == len(standing):
        found = dict(zip(new, standing, strict=True))
        new = []
    indexes = sorted(one.file_index for one in earlier)
    further = count(indexes[-1] + 1)
    never_came = [index for index in indexes if index not in {one.file_index for one in came}]
    found |= dict(zip(new, chain(never_came, further), strict=False))
    without = (number for number in range(len(now)) if number not in found)
    not_now = [index for index in indexes if index not in found.values()]
    found |= dict(zip(without, chain(not_now, further), strict=False))
    return [found[number] for number in range(len(now))]
