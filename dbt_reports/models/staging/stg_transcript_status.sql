select
    date,
    recording_id,
    conversation_id,
    status,
    reason,
    segments
from {{ source('media', 'transcript_status') }}
where date in (select date from {{ ref('stg_exported_days') }})
