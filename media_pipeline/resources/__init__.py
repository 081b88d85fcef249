"""Configuration and lifecycle of the plain-Python rooms for Dagster; no logic."""
