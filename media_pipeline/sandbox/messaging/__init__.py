"""Web messaging of the org: conversations, guest files and their event stream, and what clients send to guests.

The guides' calls are here; the published ones over the same conversations are in `platform`. Nothing of recordings.
"""
