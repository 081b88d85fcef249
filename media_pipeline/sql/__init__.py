"""Questions in SQL: DuckDB over the tables and marts of MEDIA_ROOT, read only; what they are, and how others read them.

For the command line only. No table is written here, and nothing of DuckDB is downloaded.
"""
