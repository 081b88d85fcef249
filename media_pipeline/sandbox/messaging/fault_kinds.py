"""Fault kinds of messaging: how the event stream arrives and ends, and what becomes of media.

Stages: redelivery (copies of an event) · stream_style, stream_cut (one stream) · media_state (of an uploaded medium).
What all operations share is in `sandbox/fault_kinds`.
"""

from __future__ import annotations

import dataclasses

from media_pipeline.sandbox.faults import Call, Kind, Params
from media_pipeline.sandbox.messaging.stream import NEWLINES, Cut, Style
from media_pipeline.sandbox.wire import Reply, reply


def _no_content(_: Params, __: Call, ___: object) -> Reply:
    return reply(204, "text/plain", b"")


def _style(params: Params, _: Call, __: Style) -> Style:
    return Style(**params)


def _cut(params: Params, _: Call, __: Cut) -> Cut:
    return Cut(**params)


def _copies(params: Params, _: Call, __: int) -> int:
    return int(params["copies"])


def _state(params: Params, _: Call, __: str) -> str:
    return str(params["state"])


KINDS: dict[str, Kind] = {
    "no_content": Kind("reply", ("events",), _no_content),
    "stream_style": Kind(
        "stream_style", ("events",), _style, dataclasses.asdict(Style()), choices={"newline": tuple(NEWLINES)}
    ),
    "stream_cut": Kind("stream_cut", ("events",), _cut, dataclasses.asdict(Cut())),
    "redelivery": Kind("redelivery", ("events",), _copies, {"copies": 1}),
    "media_state": Kind(
        "media_state",
        ("message_media",),
        _state,
        {"state": "invalid"},
        choices={"state": ("uploading", "invalid")},
    ),
}
