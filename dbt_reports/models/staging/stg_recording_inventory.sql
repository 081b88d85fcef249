select
    date,
    recording_id,
    conversation_id,
    file_index,
    media_type,
    format,
    codec_supported,
    started_at,
    duration_seconds,
    file_state,
    agent_ids,
    queue_ids
from {{ source('media', 'recording_inventory') }}
where date in (select date from {{ ref('stg_exported_days') }})
