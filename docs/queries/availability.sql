-- How complete is each day, and what is mainly missing?
with counted as (
    select date, status, reason, count(*) as files
    from availability_report
    group by date, status, reason
)
select
    date,
    sum(files)::bigint as listed,
    coalesce(sum(files) filter (where status = 'available'), 0)::bigint as available,
    coalesce(sum(files) filter (where status in ('pending', 'quarantined', 'failed')), 0)::bigint as unsettled,
    first(reason order by files desc, reason)
        filter (where status in ('pending', 'quarantined', 'failed')) as main_reason
from counted
group by date
order by date
