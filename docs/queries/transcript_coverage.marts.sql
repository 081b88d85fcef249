-- Which queues' calls have transcripts, and which share of them, month by month?
select
    date_trunc('month', date)::date as month,
    queue_ids[1] as queue,
    count(*) as calls,
    count(*) filter (where transcript_status = 'available') as with_transcript,
    round(with_transcript / calls, 3) as share
from recording_facts
where media_type = 'call' and file_index = 0
group by month, queue
order by month, queue
