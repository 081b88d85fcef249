-- Which queues' calls have transcripts, and which share of them, month by month?
select
    date_trunc('month', listed.date)::date as month,
    listed.queue_ids[1] as queue,
    count(*) as calls,
    count(*) filter (where transcript.status = 'available') as with_transcript,
    round(with_transcript / calls, 3) as share
from recording_inventory as listed
left join transcript_status as transcript
    on listed.date = transcript.date and listed.recording_id = transcript.recording_id
where listed.media_type = 'call' and listed.file_index = 0
group by month, queue
order by month, queue
