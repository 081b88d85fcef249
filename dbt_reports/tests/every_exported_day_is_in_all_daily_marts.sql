{{ config(meta={
    'description': 'Every day that was ever built is in availability_daily, export_throughput_daily and freshness_daily.',
    'dagster': {'ref': {'name': 'freshness_daily'}},
}) }}

select days.date
from raw.days as days
left join {{ ref('availability_daily') }} as availability on days.date = availability.date
left join {{ ref('export_throughput_daily') }} as throughput on days.date = throughput.date
left join {{ ref('freshness_daily') }} as freshness on days.date = freshness.date
where
    days.has_report
    and (availability.date is null or throughput.date is null or freshness.date is null)
