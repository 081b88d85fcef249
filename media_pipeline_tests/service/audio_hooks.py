"""Loaded by schemathesis: two of three files are audio, so that requests get past the door."""

import schemathesis
from hypothesis import strategies

from media_pipeline_tests.voices import mp3, ogg, wav

schemathesis.openapi.format(
    "binary", strategies.one_of(strategies.sampled_from([wav(0.1), mp3(0.1), ogg(0.1)]), strategies.binary(min_size=1))
)
