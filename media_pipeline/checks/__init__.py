"""Asset checks in plain sentences."""
