{#- A warning: a run that broke off between the tables leaves them apart until its day runs again. -#}
{{ config(severity='warn', meta={
    'description': 'Each day has the same requests and bytes in export_throughput_daily as all its files in recording_facts.',
    'dagster': {'ref': {'name': 'export_throughput_daily'}},
}) }}

with facts as (
    select
        date,
        sum(attempts)::bigint as attempts,
        sum(bytes_fetched)::bigint as bytes_fetched
    from {{ ref('recording_facts') }}
    where {{ of_due_days() }}
    group by date
)

select
    throughput.date,
    throughput.attempts,
    facts.attempts as attempts_in_facts,
    throughput.bytes_fetched,
    facts.bytes_fetched as bytes_in_facts
from {{ ref('export_throughput_daily') }} as throughput
left join facts on throughput.date = facts.date
where
    {{ of_due_days('throughput') }}
    and (
        throughput.attempts != coalesce(facts.attempts, 0)
        or throughput.bytes_fetched != coalesce(facts.bytes_fetched, 0)
    )
