"""Messages to people: written to the log and posted to webhooks, once per change. Plain Python; decides nothing."""
