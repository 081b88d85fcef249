"""Whether a deployment could export a day right now, before it is tried. Plain Python; changes nothing at Genesys."""
