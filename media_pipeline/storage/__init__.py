"""Objects on a local disk or in S3 behind one Protocol. Plain Python."""
