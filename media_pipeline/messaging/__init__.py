"""What guests send in message conversations: noticed here. No dagster, no HTTP, no knowledge of dialects."""
