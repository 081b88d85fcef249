{#- A warning: a run that broke off between the tables leaves them apart until its day runs again. -#}
{{ config(severity='warn', meta={
    'description': 'A complete day is settled in availability_daily and has the same number of files there.',
    'dagster': {'ref': {'name': 'freshness_daily'}},
}) }}

select
    freshness.date,
    freshness.listed,
    availability.listed as listed_in_availability,
    availability.unsettled
from {{ ref('freshness_daily') }} as freshness
left join {{ ref('availability_daily') }} as availability on freshness.date = availability.date
where
    freshness.is_complete
    and (availability.is_settled is not true or availability.listed != freshness.listed)
