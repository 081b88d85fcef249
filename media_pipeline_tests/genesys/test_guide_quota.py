"""The guide dialect's quota, by which a run may stop: no limit is not the same as one that cannot be read."""

import pytest

from media_pipeline.genesys.errors import MalformedReply
from media_pipeline.genesys.guide import GuideSource
from media_pipeline.genesys.pacing import Patience


class Api:
    """Answers the one call."""

    patience = Patience()

    def __init__(self, **body):
        self.body = body

    def get_json(self, _operation, _path, *, permission):
        assert permission == "recording:read"
        return self.body


@pytest.mark.parametrize(
    ("limit", "left"), [({}, None), ({"storage_limit_mb": None}, None), ({"storage_limit_mb": 9}, 2)]
)
def test_what_is_left_is_the_limit_less_what_is_used(limit, left):
    assert GuideSource(Api(storage_used_mb=7, **limit)).storage_left_mb() == left


@pytest.mark.parametrize("body", [{}, {"storage_used_mb": "7"}, {"storage_used_mb": 7, "storage_limit_mb": "100000"}])
def test_a_figure_that_cannot_be_read_is_an_error(body):
    with pytest.raises(MalformedReply, match="quota reply"):
        GuideSource(Api(**body)).storage_use()
