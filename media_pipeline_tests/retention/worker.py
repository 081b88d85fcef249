"""A process that works a ledger again and again until it is ended, as the job does run after run.

`python -m media_pipeline_tests.retention.worker` takes MEDIA_ROOT and the like from the environment, says `ready` when
it begins, and a line for each event.
"""

import os
import sys
import uuid

from media_pipeline.connection import opened_source
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.messaging.deleting import work_ledger
from media_pipeline.settings import Settings
from media_pipeline.storage.lease import LeaseHeld
from media_pipeline.storage.opening import open_store


def main() -> None:
    settings = Settings.load()
    store = open_store(settings.root, settings.spool, settings.concurrency)
    runs = int(sys.argv[1])
    with opened_source(settings, CallStats(), Patience(first_wait_seconds=0.01)) as target:
        print("ready", flush=True)
        for _ in range(runs):
            try:
                work_ledger(
                    store,
                    target,
                    run_id=f"{os.getpid()}-{uuid.uuid4().hex[:6]}",
                    allowed=True,
                    emit=lambda event, **_: print(event, flush=True),
                    wait_seconds=100,
                )
            except LeaseHeld:
                continue


if __name__ == "__main__":
    main()
