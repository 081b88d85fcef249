select
    date,
    media_type,
    format,
    recordings,
    source_bytes,
    stored_bytes,
    duration_seconds
from {{ source('media', 'storage_utilization') }}
where date in (select date from {{ ref('stg_exported_days') }})
