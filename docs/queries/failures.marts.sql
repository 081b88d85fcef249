-- What failed in a week, and why?
-- Put the first and the last day of your week here.
select
    status,
    reason,
    count(*) as files,
    count(distinct date) as days,
    min(date) as first_day,
    max(date) as last_day,
    max(attempts) as most_attempts
from failure_ageing
where date between date '2025-12-25' and date '2025-12-31'
group by status, reason
order by files desc, status, reason
