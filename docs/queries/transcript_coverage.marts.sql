-- Which queues' calls have transcripts, and which share of them, month by month?
-- A call that went through several queues counts in each.
with calls as (
    select
        date_trunc('month', date)::date as month,
        unnest(if(len(queue_ids) > 0, list_distinct(queue_ids), [null])) as queue,
        transcript_status
    from recording_facts
    where media_type = 'call' and file_index = 0
)
select
    month,
    queue,
    count(*) as calls,
    count(*) filter (where transcript_status = 'available') as with_transcript,
    round(with_transcript / count(*), 3) as share
from calls
group by month, queue
order by month, queue
