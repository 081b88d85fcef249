{{ config(meta={
    'description': 'Each day has as many facts as its inventory has rows.',
    'dagster': {'ref': {'name': 'recording_facts'}},
}) }}

with listed as (
    select date, count(*) as files
    from {{ ref('stg_recording_inventory') }}
    group by date
),

facts as (
    select date, count(*) as files
    from {{ ref('recording_facts') }}
    where {{ of_due_days() }}
    group by date
)

select
    coalesce(listed.date, facts.date) as date,
    listed.files as in_inventory,
    facts.files as in_facts
from listed
full join facts on listed.date = facts.date
where listed.files is distinct from facts.files
