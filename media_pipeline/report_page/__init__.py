"""A day's report as one page that needs nothing else, and a calendar of all days: from tables alone. Plain Python."""
