"""Everything that talks to Genesys Cloud. Plain Python."""
