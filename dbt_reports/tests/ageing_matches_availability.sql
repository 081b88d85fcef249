{#- A warning: a run that broke off between the tables leaves them apart until its day runs again. -#}
{{ config(severity='warn', meta={
    'description': 'Each day has as many files in failure_ageing as availability_daily counts as unsettled.',
    'dagster': {'ref': {'name': 'failure_ageing'}},
}) }}

with ageing as (
    select date, count(*) as files
    from {{ ref('failure_ageing') }}
    group by date
)

select
    availability.date,
    availability.unsettled,
    ageing.files as in_ageing
from {{ ref('availability_daily') }} as availability
left join ageing on availability.date = ageing.date
where
    {{ of_due_days('availability') }}
    and availability.unsettled != coalesce(ageing.files, 0)
