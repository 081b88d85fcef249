-- How much does the archive hold at the end of each month, by format, and what did compression save?
select
    date_trunc('month', date)::date as month,
    media_type,
    format,
    round(max(stored_bytes_to_date) / 1e9, 3) as gb_to_date,
    round(sum(stored_bytes) / 1e9, 3) as gb_of_month,
    round(sum(saved_bytes) / 1e9, 3) as gb_saved
from storage_utilization_daily
group by all
having sum(stored_bytes) > 0
order by month, media_type, format
