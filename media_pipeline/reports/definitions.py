"""The code location `reports` that workspace.yaml names."""

from media_pipeline.reports.build import build_reports

defs = build_reports()
