"""The published API as functions of a few lines: what no sandbox would do, or in no time."""

import datetime as dt
from collections import Counter

from media_pipeline.genesys.pacing import Patience
from media_pipeline.genesys.platform_polling import Waiter

DAY = dt.date(2026, 11, 20)


class Api:
    """Answers each operation with a function of method, path and body; counts calls."""

    def __init__(self, **answers):
        self.answers, self.calls = answers, Counter()

    def call(self, operation, method, path, *, permission, body=None, accepted=(200,), decode=None, patience=None):
        self.calls[operation] += 1
        return self.answers[operation](path, body)

    def get_json(self, operation, path, *, permission):
        return self.call(operation, "GET", path, permission=permission)


def waiter():
    return Waiter(Patience(first_wait_seconds=0.001, deadline_seconds=0.05))


def results(*names, **more):
    listed = [{"conversationId": c, "recordingId": r, "resultUrl": u, "contentType": "audio/wav"} for c, r, u in names]
    return {"status": "Completed", "results": listed, "expectedResultCount": len(listed)} | more
