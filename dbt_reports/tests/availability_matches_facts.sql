{#- A warning: a run that broke off between the tables leaves them apart until its day runs again. -#}
{{ config(severity='warn', meta={
    'description': 'Each day has the same files, available files and bytes in availability_daily and recording_facts.',
    'dagster': {'ref': {'name': 'availability_daily'}},
}) }}

with facts as (
    select
        date,
        count(*) as listed,
        count(*) filter (where is_stored) as stored,
        coalesce(sum(source_bytes) filter (where is_stored), 0)::bigint as stored_source_bytes
    from {{ ref('recording_facts') }}
    where {{ of_due_days() }}
    group by date
)

select
    availability.date,
    availability.listed,
    facts.listed as listed_in_facts,
    availability.available,
    facts.stored as stored_in_facts,
    availability.available_bytes,
    facts.stored_source_bytes
from {{ ref('availability_daily') }} as availability
left join facts on availability.date = facts.date
where
    {{ of_due_days('availability') }}
    and (
        availability.listed != coalesce(facts.listed, 0)
        or availability.available != coalesce(facts.stored, 0)
        or availability.available_bytes != coalesce(facts.stored_source_bytes, 0)
    )
