select
    date,
    recording_id,
    conversation_id,
    file_index,
    status,
    reason,
    size_bytes,
    sha256,
    created_at,
    has_transcript
from {{ source('media', 'availability_report') }}
where date in (select date from {{ ref('stg_exported_days') }})
