{#- Sums of doubles depend on the order in which threads add them: seconds are added as decimals. -#}
with grown as (
    select
        *,
        source_bytes - stored_bytes as saved_bytes,
        (sum(recordings) over to_date)::bigint as recordings_to_date,
        (sum(source_bytes) over to_date)::bigint as source_bytes_to_date,
        (sum(stored_bytes) over to_date)::bigint as stored_bytes_to_date,
        (sum(source_bytes - stored_bytes) over to_date)::bigint as saved_bytes_to_date,
        (sum(duration_seconds::decimal(38, 9)) over to_date)::double as duration_seconds_to_date,
        (sum(stored_bytes) over last_7_days)::bigint as stored_bytes_7_days
    from {{ ref('int_storage_by_day') }}
    window
        to_date as (partition by media_type, format order by date rows between unbounded preceding and current row),
        last_7_days as (partition by media_type, format order by date {{ last_days(7) }})
)

select
    date,
    media_type,
    format,
    recordings,
    source_bytes,
    stored_bytes,
    saved_bytes,
    source_bytes / nullif(stored_bytes, 0) as compression_ratio,
    duration_seconds,
    recordings_to_date,
    source_bytes_to_date,
    stored_bytes_to_date,
    saved_bytes_to_date,
    duration_seconds_to_date,
    stored_bytes / nullif(stored_bytes_to_date - stored_bytes, 0) as growth_rate,
    stored_bytes_7_days,
    stored_bytes_7_days / nullif(stored_bytes_to_date - stored_bytes_7_days, 0) as growth_rate_7_days
from grown
order by date, media_type nulls last, format nulls last
