-- Which queues' calls have transcripts, and which share of them, month by month?
-- A call that went through several queues counts in each.
with kinds as (
    select
        date_trunc('month', date)::date as month,
        queue_ids,
        count(*) as calls,
        count(*) filter (where transcript_status = 'available') as with_transcript
    from recording_facts
    where media_type = 'call' and file_index = 0
    group by month, queue_ids
),
queues as (
    select
        month,
        unnest(if(len(queue_ids) > 0, list_distinct(queue_ids), [null])) as queue,
        calls,
        with_transcript
    from kinds
)
select
    month,
    queue,
    sum(calls)::bigint as calls,
    sum(with_transcript)::bigint as with_transcript,
    round(sum(with_transcript) / sum(calls), 3) as share
from queues
group by month, queue
order by month, queue
