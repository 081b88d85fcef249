"""The retention list, page by page: what is taken from a reply, and what ends a list that does not."""

import pytest

from media_pipeline.genesys.errors import MalformedReply
from media_pipeline.genesys.platform_retention import retained
from media_pipeline.genesys.source import RetentionTally


class Lists:
    """Answers the retention query with given pages."""

    def __init__(self, *pages):
        self.pages, self.asked = list(pages), []

    def get_json(self, operation, path, *, permission):
        self.asked.append(path)
        return self.pages[(len(self.asked) - 1) % len(self.pages)]


def page(cursor, *entities):
    return {"entities": list(entities), "nextUri": f"https://elsewhere.example/x?cursor={cursor}"}


@pytest.mark.parametrize("length", [1, 2, 5, 30])
def test_a_list_that_goes_round_in_circles_ends(length):
    api = Lists(*(page(number) for number in range(length)))
    with pytest.raises(MalformedReply, match="repeats itself"):
        list(retained(api, 0, 1_000, RetentionTally()))
    assert len(api.asked) <= 4 * length + 4
    assert not any("elsewhere" in path for path in api.asked), "only the cursor is taken from the reply"


def test_entries_without_ids_or_time_are_counted_and_a_next_page_without_a_cursor_is_refused():
    good = {"conversationId": "c", "recordingId": "r", "creationTime": "2026-11-20T10:00:00.000Z", "deleteDate": "soon"}
    tally = RetentionTally()
    api = Lists({"entities": [good, {"recordingId": "r"}, 7, good | {"creationTime": "x"}]})
    (found,) = retained(api, 0, 10, tally)
    assert found.delete_date is None
    assert (tally.malformed, tally.entries, tally.complete) == (3, 4, True)
    with pytest.raises(MalformedReply, match="without a cursor"):
        list(retained(Lists({"entities": [], "nextUri": "/x?pageNumber=2"}), 0, 10, RetentionTally()))
    with pytest.raises(MalformedReply, match="no list"):
        list(retained(Lists({"entities": None}), 0, 10, RetentionTally()))
