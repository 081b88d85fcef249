"""Annotations in the guides' dialect (004): one PUT replaces all of an interaction's metadata."""

from __future__ import annotations

from collections.abc import Sequence

from media_pipeline.genesys.source import ANNOTATIONS_SOURCE, Annotation
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import decoded_or_nothing

OPERATION = "interaction_metadata"


def put_metadata(api: Transport, path: str, annotations: Sequence[Annotation]) -> None:
    """Replace the metadata below an interaction's path."""
    body = {
        "annotations": [{"key": one.key, "value": one.value, "category": one.category} for one in annotations],
        "source": ANNOTATIONS_SOURCE,
    }
    api.call(
        OPERATION,
        "PUT",
        f"{path}/metadata",
        permission="interaction:metadata:write",
        body=body,
        accepted=(200, 201, 202, 204),
        decode=decoded_or_nothing,
    )
