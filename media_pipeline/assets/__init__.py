"""The daily assets: thin wiring between tables, source and store."""
