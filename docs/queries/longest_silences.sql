-- In which calls of a week was nobody heard for longest, and from when on?
with ordered as (
    select
        date,
        recording_id,
        start_ms,
        max(end_ms) over (
            partition by date, recording_id
            order by start_ms, segment_index
            rows between unbounded preceding and 1 preceding
        ) as heard_until_ms
    from diarized_transcripts
    where date between date '2025-12-25' and date '2025-12-31'
)
select
    date,
    recording_id,
    round(max(start_ms - heard_until_ms) / 1000, 1) as silent_seconds,
    round(arg_max(heard_until_ms, start_ms - heard_until_ms) / 1000, 1) as from_second
from ordered
group by date, recording_id
order by silent_seconds desc nulls last, recording_id
limit 20
