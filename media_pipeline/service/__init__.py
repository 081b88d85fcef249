"""The HTTP service: voice messages in, local leftovers out, health and metrics. Plain Python, FastAPI on uvicorn.

Everything but /health needs a token, and whatever is not said to be open is refused when the app is built.
"""
