"""Messages: what guests send, voice messages on their way out, and what is deleted when. Plain Python."""
