"""The code location that workspace.yaml names."""

from media_pipeline.build import build_definitions

defs = build_definitions()
