"""One recording from its link to a verified object. Plain Python."""
