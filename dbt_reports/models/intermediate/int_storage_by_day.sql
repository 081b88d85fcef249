select
    date,
    media_type,
    format,
    recordings,
    source_bytes,
    stored_bytes,
    duration_seconds
from {{ ref('stg_storage_utilization') }}
