{{ config(meta={
    'description': 'The sums of availability_daily over the days just built are those of availability_report.',
    'dagster': {'ref': {'name': 'availability_daily'}},
}) }}

with report as (
    select
        count(*) as listed,
        count(*) filter (where status = 'available') as available,
        sum(size_bytes)::bigint as listed_bytes
    from {{ ref('stg_availability_report') }}
),

mart as (
    select
        coalesce(sum(listed), 0)::bigint as listed,
        coalesce(sum(available), 0)::bigint as available,
        coalesce(sum(listed_bytes), 0)::bigint as listed_bytes
    from {{ ref('availability_daily') }}
    where {{ of_due_days() }}
)

select
    report.listed,
    mart.listed as listed_in_mart,
    report.available,
    mart.available as available_in_mart,
    report.listed_bytes,
    mart.listed_bytes as listed_bytes_in_mart
from report
cross join mart
where
    report.listed != mart.listed
    or report.available != mart.available
    or coalesce(report.listed_bytes, 0) != mart.listed_bytes
