"""What a run did, event by event, as JSON lines. Plain Python."""
