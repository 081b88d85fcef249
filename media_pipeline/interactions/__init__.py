"""Interactions and their media: the media matrix, formats by content, thumbnails. No dagster."""
