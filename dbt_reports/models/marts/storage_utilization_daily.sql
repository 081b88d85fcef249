select
    date,
    media_type,
    format,
    recordings,
    source_bytes,
    stored_bytes,
    source_bytes - stored_bytes as saved_bytes,
    source_bytes / nullif(stored_bytes, 0) as compression_ratio,
    duration_seconds,
    (sum(recordings) over to_date)::bigint as recordings_to_date,
    (sum(source_bytes) over to_date)::bigint as source_bytes_to_date,
    (sum(stored_bytes) over to_date)::bigint as stored_bytes_to_date,
    (sum(source_bytes - stored_bytes) over to_date)::bigint as saved_bytes_to_date,
    sum(duration_seconds) over to_date as duration_seconds_to_date
from {{ ref('stg_storage_utilization') }}
window to_date as (partition by media_type, format order by date rows between unbounded preceding and current row)
order by date, media_type nulls last, format nulls last
