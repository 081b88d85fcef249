"""The contract as code: schemas, paths, atomic partition writes, and what is computed from tables. Plain Python."""
