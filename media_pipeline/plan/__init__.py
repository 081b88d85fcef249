"""What a backfill will bring and cost, before it is begun, and what it did bring and cost. Plain Python."""
