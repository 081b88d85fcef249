select
    date,
    recording_id,
    segment_index,
    greatest(start_ms, 0) as start_ms,
    greatest(start_ms, end_ms, 0) as end_ms,
    greatest(end_ms, 0) - greatest(least(start_ms, end_ms), 0) as length_ms,
    speaker,
    case
        when lower(coalesce(participant_purpose, speaker)) in ('customer', 'external') then 'customer'
        when lower(coalesce(participant_purpose, speaker)) in ('agent', 'user') then 'agent'
    end as side,
    {{ words_in('text') }} as words,
    pii_redacted
from {{ source('media', 'diarized_transcripts') }}
where date in (select date from {{ ref('stg_exported_days') }})
