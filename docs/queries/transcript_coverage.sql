-- Which queues' calls have transcripts, and which share of them, month by month?
-- A call that went through several queues counts in each.
with kinds as (
    select
        date_trunc('month', listed.date)::date as month,
        listed.queue_ids,
        count(*) as calls,
        count(*) filter (where transcript.status = 'available') as with_transcript
    from recording_inventory as listed
    left join transcript_status as transcript
        on listed.date = transcript.date and listed.recording_id = transcript.recording_id
    where listed.media_type = 'call' and listed.file_index = 0
    group by month, listed.queue_ids
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
