"""`python -m media_pipeline.cli`: the same as media-pipeline."""

from media_pipeline.cli import app

app()
