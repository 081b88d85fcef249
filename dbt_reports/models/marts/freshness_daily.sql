{#- Days between the first and the newest that have no table at all are finished, too. -#}
with known as (
    select * from {{ ref('int_completeness_by_day') }}
),

calendar as (
    select unnest(generate_series(min(date), max(date), interval 1 day))::date as date
    from known
),

days as (
    select
        calendar.date,
        coalesce(known.is_complete, false) as is_complete,
        case
            when known.is_complete then 'complete'
            when known.has_inventory then 'incomplete'
            else 'not_exported'
        end as state,
        case when known.date is null then 'never exported' else known.why end as why,
        coalesce(known.problems, 0) as problems,
        coalesce(known.listed, 0) as listed,
        coalesce(known.stored, 0) as stored
    from calendar
    left join known on calendar.date = known.date
),

followed as (
    select
        *,
        min(case when not is_complete then date end) over so_far as oldest_incomplete,
        count(*) filter (where not is_complete) over so_far as incomplete_days
    from days
    window so_far as (order by date rows between unbounded preceding and current row)
)

select
    date,
    is_complete,
    state,
    why,
    problems,
    listed,
    stored,
    oldest_incomplete,
    incomplete_days,
    coalesce(date - oldest_incomplete + 1, 0) as days_behind
from followed
order by date
