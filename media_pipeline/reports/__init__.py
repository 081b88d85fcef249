"""The second code location: dbt's marts over the tables. Its own location, so that other runs never parse dbt."""
