{{ config(meta={
    'description': 'The sums of storage_utilization_daily over the days just built are those of storage_utilization.',
    'dagster': {'ref': {'name': 'storage_utilization_daily'}},
}) }}

with source as (
    select
        coalesce(sum(recordings), 0)::bigint as recordings,
        coalesce(sum(source_bytes), 0)::bigint as source_bytes,
        coalesce(sum(stored_bytes), 0)::bigint as stored_bytes
    from {{ ref('stg_storage_utilization') }}
),

mart as (
    select
        coalesce(sum(recordings), 0)::bigint as recordings,
        coalesce(sum(source_bytes), 0)::bigint as source_bytes,
        coalesce(sum(stored_bytes), 0)::bigint as stored_bytes,
        coalesce(sum(saved_bytes), 0)::bigint as saved_bytes
    from {{ ref('storage_utilization_daily') }}
    where {{ of_due_days() }}
)

select
    source.recordings,
    mart.recordings as recordings_in_mart,
    source.source_bytes,
    mart.source_bytes as source_bytes_in_mart,
    source.stored_bytes,
    mart.stored_bytes as stored_bytes_in_mart
from source
cross join mart
where
    source.recordings != mart.recordings
    or source.source_bytes != mart.source_bytes
    or source.stored_bytes != mart.stored_bytes
    or mart.saved_bytes != mart.source_bytes - mart.stored_bytes
