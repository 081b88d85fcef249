{#- A warning: a run that broke off between the tables leaves them apart until its day runs again. -#}
{{ config(severity='warn', meta={
    'description': 'Each day, media type and format has the same files and bytes in storage and in recording_facts.',
    'dagster': {'ref': {'name': 'storage_utilization_daily'}},
}) }}

with facts as (
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
    storage.date,
    storage.media_type,
    storage.format,
    storage.recordings,
    facts.recordings as recordings_in_facts,
    storage.source_bytes,
    facts.source_bytes as source_bytes_in_facts,
    storage.stored_bytes,
    facts.stored_bytes as stored_bytes_in_facts
from {{ ref('storage_utilization_daily') }} as storage
left join facts
    on
        storage.date = facts.date
        and storage.media_type is not distinct from facts.media_type
        and storage.format is not distinct from facts.format
where
    {{ of_due_days('storage') }}
    and (
        storage.recordings is distinct from facts.recordings
        or storage.source_bytes is distinct from facts.source_bytes
        or storage.stored_bytes is distinct from facts.stored_bytes
    )
