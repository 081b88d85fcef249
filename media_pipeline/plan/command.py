"""What `media-pipeline plan` does: compare a kept plan whose days have come, else make one and keep it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from media_pipeline.connection import media_hosts_of, opened_source
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.plan.compare import Comparison, compare, keep, kept
from media_pipeline.plan.make import Planner, Told
from media_pipeline.plan.measure import Sampler
from media_pipeline.plan.model import Plan
from media_pipeline.settings import Settings
from media_pipeline.storage.base import ObjectStore, StorageError
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, where it is kept (None, and why in `unkept`, where it cannot be), and what came of it."""

    plan: Plan
    where: str | None = None
    unkept: str | None = None
    comparison: Comparison | None = None


def planned(
    first: dt.date,
    last: dt.date,
    *,
    compare_kept: bool | None,
    told: Told,
    settings: Settings | None = None,
) -> Planned:
    """Plan these days, both included, or set the kept plan against actual (None: once all its days were exported).

    Raises ConfigurationError, GenesysError, StorageError.
    """
    settings = settings or Settings.load()
    store = open_store(settings.root, settings.spool, settings.concurrency)
    if compare_kept is not False:
        told("Looking for a kept plan ...")
        earlier = kept(store, first, last)
        comparison = compare(Tables(store), earlier) if earlier is not None else None
        if earlier is not None and comparison is not None:
            if compare_kept and not comparison.days:
                raise ConfigurationError(
                    f"No day of the plan of {first} to {last} was exported since it was made; export them first."
                )
            if compare_kept or (comparison.days and comparison.finished):
                return Planned(earlier, comparison=comparison)
        elif compare_kept:
            raise ConfigurationError(
                f"There is no plan of {first} to {last} below MEDIA_ROOT={store.url}; plan these days before they are "
                "exported."
            )
    return _made(settings, store, first, last, told)


def _made(settings: Settings, store: ObjectStore, first: dt.date, last: dt.date, told: Told) -> Planned:
    stats = CallStats()
    with opened_source(settings, stats) as source:
        sampler = Sampler(source, stats, media_hosts_of(settings), settings.codecs, settings.concurrency)
        plan = Planner(settings, store, source, stats, sampler).plan(first, last, dt.datetime.now(dt.UTC), told)
    if not plan.open_days:
        return Planned(plan)
    try:
        return Planned(plan, where=keep(store, plan))
    except StorageError as error:
        return Planned(plan, unkept=str(error))
