-- How often did the source refuse or fail us each day, and what did that cost?
select date, runs, refused_calls, retries, round(waited_seconds / 60, 1) as waited_minutes
from export_throughput_daily
where runs > 0
order by date
