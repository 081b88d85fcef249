"""The transfer engine beside other ways and beside the limit: `python -m benchmarks.throughput --help`."""
