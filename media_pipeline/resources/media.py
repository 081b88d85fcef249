"""Where tables and objects land, and the run's audit log, as a Dagster resource."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from media_pipeline.audit.log import AuditLog
from media_pipeline.messaging.holds import Holds, digest
from media_pipeline.messaging.retention_days import something_to_do
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.lease import Lease
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.ledger import Ledger
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import lease_key, work_lease_key
from media_pipeline.tables.written_back import WrittenBack


class MediaResource(dg.ConfigurableResource):
    """MEDIA_ROOT (a path or s3://bucket/prefix), the spool, and what is exported there."""

    root: str = Field("./data", description="MEDIA_ROOT: a path or s3://bucket/prefix.")
    spool: str = Field(description="MEDIA_SPOOL: local folder for what is under way.")
    codecs: list[str] = Field(["wav", "mp3", "aac", "ogg"], description="Exported formats.")
    min_available_mb: int = Field(1024, description="Space gate in MB of 10^6 bytes.")
    sidecars: bool = Field(True, description="Whether metadata JSON lies beside each object.")
    keep_unredacted: bool = Field(False, description="Whether transcripts are also kept as they were, apart.")
    inbox: str = Field("", description="MEDIA_INBOX: what users hand in; empty: inbox/ below the root.")
    concurrency: int = Field(8, description="MEDIA_CONCURRENCY: threads that use the store at the same time.")

    _tables: Tables | None = PrivateAttr(default=None)
    _leases: dict[tuple[str, str], Lease] = PrivateAttr(default_factory=dict)
    _audits: dict[tuple[dt.date, str], AuditLog] = PrivateAttr(default_factory=dict)

    @property
    def tables(self) -> Tables:
        """The tables below the root."""
        if self._tables is None:
            self._tables = Tables(open_store(self.root, Path(self.spool), self.concurrency), guard=self._check_leases)
        return self._tables

    @property
    def store(self) -> ObjectStore:
        """The objects below the root."""
        return self.tables.store

    def audit(self, day: dt.date, run_id: str) -> AuditLog:
        """The audit log of a run's day, shared by its steps."""
        if (day, run_id) not in self._audits:
            self._audits[day, run_id] = AuditLog(self.store, Path(self.spool), day, run_id)
        return self._audits[day, run_id]

    def lease(self, day: dt.date, run_id: str, work: str = "") -> Lease:
        """The run's hold on its day for this work, taken with the first call; raises LeaseHeld while another has it."""
        return self._lease(lease_key(day, work), str(day), run_id)

    def working_alone(self, work: str, what: str, run_id: str) -> Lease:
        """The run's hold on work that belongs to no day; `what` names it for people. Raises LeaseHeld."""
        return self._lease(work_lease_key(work), what, run_id)

    def _lease(self, key: str, what: str, run_id: str) -> Lease:
        if (key, run_id) not in self._leases:
            lease = Lease(self.store, key, what, run_id)
            lease.acquire()
            self._leases[key, run_id] = lease
        self._leases[key, run_id].check()
        return self._leases[key, run_id]

    def _check_leases(self) -> None:
        """Raise LeaseLost when another run has taken over what this one works on."""
        for lease in self._leases.values():
            lease.check()

    @property
    def voice_inbox(self) -> Path | None:
        """The folder that voice messages wait in; None where MEDIA_INBOX is S3 or not set."""
        return Path(self.inbox) if self.inbox and "://" not in self.inbox else None

    def handed_in(self, folder: str) -> tuple[ObjectStore, str]:
        """Where a kind of things is handed in: a store, and a prefix in it that ends in `/`."""
        if not self.inbox:
            return self.store, f"inbox/{folder}/"
        return open_store(self.inbox, Path(self.spool), self.concurrency), f"{folder}/"

    def written_back(self, what: str, day: dt.date) -> WrittenBack:
        """What the org is known to hold of what we wrote there."""
        return WrittenBack(self.store, Path(self.spool), what, day)

    def has_deletions(self, *, allowed: bool) -> bool:
        """Whether a run over the retention ledger would find work."""
        now, holds = dt.datetime.now(dt.UTC), Holds(self.store)
        holds.all()
        return something_to_do(self.store, now, digest(holds.active(now)), allowed)

    def ledger(self, day: dt.date, run_id: str) -> Ledger:
        """What a run settles, for whoever runs the day next."""
        return Ledger(self.store, Path(self.spool), day, run_id, self._check_leases)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Publish the audit logs for the last time and let go of the days, also where a log cannot be published."""
        with ExitStack() as ending:
            for lease in self._leases.values():
                ending.callback(lease.release)
            for log in self._audits.values():
                ending.callback(log.close)
            self._leases, self._audits = {}, {}
