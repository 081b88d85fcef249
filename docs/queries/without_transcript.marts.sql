-- Which calls of a month do we have without a transcript? The longest first.
-- Put the first and the last day of your month here.
select
    date,
    recording_id,
    queue_ids[1] as queue,
    round(duration_seconds / 60, 1) as minutes,
    coalesce(transcript_status, 'not asked') as transcript
from recording_facts
where
    date between date '2025-12-01' and date '2025-12-31'
    and media_type = 'call'
    and is_stored
    and coalesce(transcript_status, 'not asked') <> 'available'
order by duration_seconds desc nulls last, recording_id
limit 50
