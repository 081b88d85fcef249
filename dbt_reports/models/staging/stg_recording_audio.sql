select
    date,
    recording_id,
    conversation_id,
    file_index,
    status,
    reason,
    status = 'stored' as is_stored,
    object_key,
    content_type,
    source_size_bytes as source_bytes,
    stored_size_bytes as stored_bytes,
    sha256,
    integrity_basis
from {{ source('media', 'recording_audio') }}
where date in (select date from {{ ref('stg_exported_days') }})
