{#- A warning: a run that broke off between the tables leaves them apart until its day runs again. -#}
{{ config(severity='warn', meta={
    'description': 'Each day, media type and format has the same files and bytes in storage and in recording_facts.',
    'dagster': {'ref': {'name': 'storage_utilization_daily'}},
}) }}

with storage as (
    select date, media_type, format, recordings, source_bytes, stored_bytes
    from {{ ref('storage_utilization_daily') }}
    where {{ of_due_days() }}
),

facts as (
    select
        date,
        media_type,
        format,
        count(*) as recordings,
        coalesce(sum(source_bytes) filter (where is_stored), 0)::bigint as source_bytes,
        coalesce(sum(stored_bytes), 0)::bigint as stored_bytes
    from {{ ref('recording_facts') }}
    where {{ of_due_days() }}
    group by date, media_type, format
)

select
    coalesce(storage.date, facts.date) as date,
    coalesce(storage.media_type, facts.media_type) as media_type,
    coalesce(storage.format, facts.format) as format,
    storage.recordings,
    facts.recordings as recordings_in_facts,
    storage.source_bytes,
    facts.source_bytes as source_bytes_in_facts,
    storage.stored_bytes,
    facts.stored_bytes as stored_bytes_in_facts
from storage
full join facts
    on
        storage.date = facts.date
        and storage.media_type is not distinct from facts.media_type
        and storage.format is not distinct from facts.format
where
    storage.recordings is distinct from facts.recordings
    or storage.source_bytes is distinct from facts.source_bytes
    or storage.stored_bytes is distinct from facts.stored_bytes
