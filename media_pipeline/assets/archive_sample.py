"""archive_sample: random objects of the archive, re-read and compared with the tables. Reads only, no Genesys Cloud."""

import random

import dagster as dg
from pydantic import Field

from media_pipeline.checks.archive_sample_verified import ARCHIVE_SAMPLE_VERIFIED, archive_sample_verified_result
from media_pipeline.resources.failures import explained
from media_pipeline.resources.media import MediaResource
from media_pipeline.storage.space import BYTES_PER_MB
from media_pipeline.tables.drift import days_with_objects
from media_pipeline.tables.verification import verify_sample

OBJECTS = 200
MEGABYTES = 1_000


class ArchiveSampleConfig(dg.Config):
    """Bounds of the sample; the defaults are what the schedule reads."""

    objects: int = Field(OBJECTS, ge=1, description="Objects at most.")
    megabytes: int = Field(MEGABYTES, ge=1, description="No object is begun once so many MB (10^6 bytes) are read.")
    seed: int | None = Field(None, ge=0, description="Draw the objects of an earlier sample again; see its metadata.")


def archive_sample_asset(retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset; what was read is in its metadata, it has no table."""

    @dg.asset(
        group_name="watch",
        kinds={"python"},
        retry_policy=retry,
        check_specs=[
            dg.AssetCheckSpec(
                ARCHIVE_SAMPLE_VERIFIED,
                asset="archive_sample",
                description="Objects drawn at random restore to the hashes of their rows; says which do not.",
            )
        ],
    )
    def archive_sample(
        context: dg.AssetExecutionContext, config: ArchiveSampleConfig, media: MediaResource
    ) -> dg.MaterializeResult:
        """Objects of random days, the newest and the oldest alike, restored and compared with their rows.

        Bounded in objects and bytes. Finds what a listing cannot show: bytes that changed under their old size and
        time. Orphans are the sensor archive_drift's subject; `media-pipeline verify --all` looks at everything.
        """
        with explained():
            days = days_with_objects(media.store)
            result = verify_sample(
                media.tables,
                days,
                objects=config.objects,
                max_bytes=config.megabytes * BYTES_PER_MB,
                seed=random.randrange(2**32) if config.seed is None else config.seed,
                threads=media.concurrency,
            )
            context.log.info(result.sentence)
            facts = {
                "objects": result.objects,
                "bytes": result.bytes_read,
                "seconds": round(result.seconds, 3),
                "days": result.days,
                "days_in_the_archive": len(days),
                "seed": result.seed,
            }
            return dg.MaterializeResult(metadata=facts, check_results=[archive_sample_verified_result(result, facts)])

    return archive_sample
