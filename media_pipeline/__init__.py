"""Every day's Genesys Cloud media as verified gzip objects and Parquet tables, run by Dagster."""

from media_pipeline.genesys.redaction import keep_urls_out_of_logs

keep_urls_out_of_logs()
