{{ config(materialized='incremental') }}
{#- Sums of doubles depend on the order in which threads add them: seconds are added as decimals. -#}
with talk as (
    select
        date,
        recording_id,
        sum(words)::bigint as words,
        sum(length_ms)::bigint / 1000 as speech_seconds,
        count(distinct speaker) as speakers,
        sum(length_ms) filter (where side = 'customer')::bigint / 1000 as customer_seconds,
        sum(length_ms) filter (where side = 'agent')::bigint / 1000 as agent_seconds,
        sum(pii_redacted)::bigint as pii_redacted
    from {{ ref('stg_diarized_transcripts') }}
    group by date, recording_id
),

effort as (
    select
        date,
        recording_id,
        file_index,
        count(distinct run_id) as runs,
        sum(attempts)::bigint as attempts,
        sum(bytes_fetched)::bigint as bytes_fetched,
        sum(seconds::decimal(38, 15))::double as transfer_seconds
    from {{ ref('stg_export_runs') }}
    where recording_id is not null
    group by date, recording_id, file_index
)

select
    listed.date,
    listed.recording_id,
    listed.conversation_id,
    listed.file_index,
    listed.media_type,
    listed.format,
    listed.started_at,
    listed.duration_seconds,
    listed.file_state,
    listed.agent_ids,
    listed.queue_ids,
    coalesce(audio.status, 'pending') as status,
    case when audio.status is null then 'not_requested' else audio.reason end as reason,
    coalesce(audio.is_stored, false) as is_stored,
    audio.object_key,
    audio.content_type,
    audio.source_bytes,
    audio.stored_bytes,
    audio.source_bytes / nullif(audio.stored_bytes, 0) as compression_ratio,
    audio.sha256,
    audio.integrity_basis,
    transcript.status as transcript_status,
    coalesce(transcript.segments, 0) as segments,
    talk.words,
    talk.speech_seconds,
    talk.speakers,
    talk.customer_seconds,
    talk.agent_seconds,
    talk.pii_redacted,
    coalesce(effort.runs, 0) as runs,
    coalesce(effort.attempts, 0) as attempts,
    coalesce(effort.bytes_fetched, 0) as bytes_fetched,
    coalesce(effort.transfer_seconds, 0) as transfer_seconds
from {{ ref('stg_recording_inventory') }} as listed
left join {{ ref('stg_recording_audio') }} as audio
    on
        listed.date = audio.date
        and listed.recording_id = audio.recording_id
        and listed.file_index = audio.file_index
left join {{ ref('stg_transcript_status') }} as transcript
    on listed.date = transcript.date and listed.recording_id = transcript.recording_id
left join talk on listed.date = talk.date and listed.recording_id = talk.recording_id
left join effort
    on
        listed.date = effort.date
        and listed.recording_id = effort.recording_id
        and listed.file_index = effort.file_index
