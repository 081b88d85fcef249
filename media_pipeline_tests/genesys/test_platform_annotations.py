"""What participant attributes can carry: what is too long takes no room from what fits."""

import json

from media_pipeline.genesys.platform_annotations import MOST_BYTES, MOST_CHARACTERS, PREFIX, not_carried
from media_pipeline.genesys.source import Annotation


def annotation(key: str, value: str) -> Annotation:
    return Annotation(key=key, value=value, category="system")


def test_what_is_too_long_takes_no_room_from_what_fits():
    long = [annotation(f"a.{number}", "x" * 2_000) for number in range(MOST_BYTES // 2_000 + 1)]
    refused = not_carried([*long, annotation("b", "fits")])
    assert {reason for reason, _ in refused.values()} == {"too_long_for_platform"}
    assert "b" not in refused


def test_what_is_beyond_the_size_of_a_request_is_last_by_key():
    many = [annotation(f"k{number:05}", "x" * MOST_CHARACTERS) for number in range(2_000)]
    refused = not_carried(many)
    kept = [one for one in many if one.key not in refused]
    assert [one.key for one in kept] == sorted(one.key for one in many)[: len(kept)]
    assert {reason for reason, _ in refused.values()} == {"payload_too_large"}
    body = json.dumps({"attributes": {PREFIX + one.key: one.value for one in kept}})
    assert MOST_BYTES - 1_000 < len(body) < 512_000
