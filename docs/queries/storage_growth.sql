-- How much does the archive hold at the end of each month, by format, and what did compression save?
with monthly as (
    select
        date_trunc('month', date)::date as month,
        media_type,
        format,
        sum(source_bytes) as source_bytes,
        sum(stored_bytes) as stored_bytes
    from storage_utilization
    group by all
)
select
    month,
    media_type,
    format,
    round(sum(stored_bytes) over to_date / 1e9, 3) as gb_to_date,
    round(stored_bytes / 1e9, 3) as gb_of_month,
    round((source_bytes - stored_bytes) / 1e9, 3) as gb_saved
from monthly
where stored_bytes > 0
window to_date as (partition by media_type, format order by month)
order by month, media_type, format
