"""A year of an archive's tables: `python -m benchmarks.year.generate`, and what reading it costs."""
