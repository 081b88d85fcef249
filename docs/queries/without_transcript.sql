-- Which calls of a month do we have without a transcript? The longest first.
-- Put the first and the last day of your month here.
select
    listed.date,
    listed.recording_id,
    listed.queue_ids[1] as queue,
    round(listed.duration_seconds / 60, 1) as minutes,
    coalesce(transcript.status, 'not asked') as transcript
from recording_inventory as listed
inner join recording_audio as audio
    on
        listed.date = audio.date
        and listed.recording_id = audio.recording_id
        and listed.file_index = audio.file_index
left join transcript_status as transcript
    on listed.date = transcript.date and listed.recording_id = transcript.recording_id
where
    listed.date between date '2025-12-01' and date '2025-12-31'
    and listed.media_type = 'call'
    and audio.status = 'stored'
    and coalesce(transcript.status, 'not asked') <> 'available'
order by listed.duration_seconds desc nulls last, listed.recording_id
limit 50
