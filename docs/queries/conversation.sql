-- What is known of one conversation, in order?
-- Put its day (six times) and its id here.
with asked as (
    select date '2025-12-30' as date, min(conversation_id) as conversation_id
    from recording_inventory
    where date = date '2025-12-30'
),
files as (
    select listed.*
    from recording_inventory as listed
    inner join asked on listed.conversation_id = asked.conversation_id
    where listed.date = date '2025-12-30'
)
select recording_id, started_at as moment, 'listed' as what, concat_ws(' ', media_type, format, file_state) as detail
from files
union all
select audio.recording_id, files.started_at, audio.status, coalesce(audio.object_key, audio.detail)
from recording_audio as audio
inner join files on audio.recording_id = files.recording_id and audio.file_index = files.file_index
where audio.date = date '2025-12-30'
union all
select status.recording_id, files.started_at, 'transcript ' || status.status, coalesce(status.reason, status.segments || ' segments')
from transcript_status as status
inner join files on status.recording_id = files.recording_id and files.file_index = 0
where status.date = date '2025-12-30'
union all
select said.recording_id, files.started_at + to_milliseconds(said.start_ms), coalesce(said.participant_purpose, said.speaker), said.text
from diarized_transcripts as said
inner join files on said.recording_id = files.recording_id and files.file_index = 0
where said.date = date '2025-12-30'
order by moment, recording_id, what, detail
