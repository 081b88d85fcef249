"""Which index a file of a recording keeps, whatever else came or went."""

import pytest

from media_pipeline.genesys.file_places import places
from media_pipeline.genesys.source import Known


def known(*files):
    """Files by index: an identity, or a state where none ever came."""
    states = ("pending", "undelivered", "available", "archived")
    return [
        Known(
            recording_id="r",
            file_index=index,
            file_state=file if file in states else "deleted" if file.startswith("-") else "available",
            source_file=None if file in states else file.lstrip("-"),
        )
        for index, file in enumerate(files)
    ]


@pytest.mark.parametrize(
    ("earlier", "now", "expected"),
    [
        ((), ["a", "b"], [0, 1]),
        (("a", "b"), ["a", "b"], [0, 1]),
        (("z",), ["a", "z"], [1, 0]),
        (("b", "c", "undelivered"), ["a", "b", "c"], [2, 0, 1]),
        (("a", "b", "c"), ["b", "c", None], [1, 2, 0]),
        (("a", "b"), ["b"], [1]),
        (("a", "b"), ["a"], [0]),
        (("-a", "b"), ["a", "b"], [0, 1]),
        (("-a",), ["b"], [0]),
        (("pending",), ["a", "b"], [0, 1]),
        (("archived",), ["a"], [0]),
        (("b", "undelivered"), ["a", "b", None], [1, 0, 2]),
        (("x",), ["y"], [0]),
        (("x", "y"), ["v", "w"], [0, 1]),
        (("-w", "x", "y"), ["u", "v"], [1, 2]),
        (("x", "y"), ["u", "v", "w"], [2, 3, 4]),
        (("available",), ["a"], [0]),
        (("available", "available"), ["a", "b"], [0, 1]),
        (("available",), ["a", "b"], [1, 2]),
        (("a", "b"), [None], [0]),
    ],
)
def test_a_file_keeps_its_index(earlier, now, expected):
    assert places(now, known(*earlier)) == expected
