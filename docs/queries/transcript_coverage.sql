-- Which queues' calls have transcripts, and which share of them, month by month?
-- A call that went through several queues counts in each.
with calls as (
    select
        date,
        recording_id,
        unnest(if(len(queue_ids) > 0, list_distinct(queue_ids), [null])) as queue
    from recording_inventory
    where media_type = 'call' and file_index = 0
)
select
    date_trunc('month', calls.date)::date as month,
    calls.queue,
    count(*) as calls,
    count(*) filter (where transcript.status = 'available') as with_transcript,
    round(with_transcript / count(*), 3) as share
from calls
left join transcript_status as transcript
    on calls.date = transcript.date and calls.recording_id = transcript.recording_id
group by month, calls.queue
order by month, calls.queue
