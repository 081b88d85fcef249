"""Every day's Genesys Cloud media as verified gzip objects and Parquet tables, run by Dagster."""
