"""Sensors: they read the Dagster instance and the store, never Genesys Cloud."""
