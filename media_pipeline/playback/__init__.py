"""Listening to recordings: byte ranges of the archive or of the source, links, limits, a log of plays. No Dagster."""
