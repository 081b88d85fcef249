-- How much does the archive hold at the end of each month, by format, and what did compression save?
with months as (
    select unnest(generate_series(min(date_trunc('month', date)), max(date), interval 1 month))::date as month
    from storage_utilization_daily
),
stored as (
    select date_trunc('month', date)::date as month, media_type, format, stored_bytes, saved_bytes
    from storage_utilization_daily
    union all -- nothing more, of every format in every month
    select distinct months.month, known.media_type, known.format, 0, 0
    from months
    cross join storage_utilization_daily as known
)
select
    month,
    media_type,
    format,
    round(sum(sum(stored_bytes)) over to_date / 1e9, 3) as gb_to_date,
    round(sum(stored_bytes) / 1e9, 3) as gb_of_month,
    round(sum(saved_bytes) / 1e9, 3) as gb_saved
from stored
group by month, media_type, format
window to_date as (partition by media_type, format order by month)
qualify sum(sum(stored_bytes)) over to_date > 0
order by month, media_type, format
