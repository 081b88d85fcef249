"""Messages: what guests send, voice messages on their way out, and what is purged when. Plain Python."""
