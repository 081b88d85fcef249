select
    date,
    run_id,
    step,
    recording_id,
    file_index,
    operation,
    http_status,
    calls,
    attempts,
    retries,
    waited_seconds,
    bytes_fetched,
    seconds
from {{ source('media', 'export_runs') }}
where date in (select date from {{ ref('stg_exported_days') }}) and step in {{ export_steps() }}
