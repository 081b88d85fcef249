-- What failed in a week, and why?
-- Put the first and the last day of your week here.
select
    status,
    reason,
    count(*) as files,
    count(distinct date) as days,
    min(date) as first_day,
    max(date) as last_day,
    any_value(detail) as what_to_do
from recording_audio
where date between date '2025-12-25' and date '2025-12-31' and status in ('failed', 'quarantined', 'pending')
group by status, reason
order by files desc, status, reason
