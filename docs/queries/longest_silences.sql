-- In which calls of a week was nobody heard for longest, and from when on?
-- Before the first words and after the last ones, too; of calls with a transcript.
-- Put the first and the last day of your week (twice) here.
with said as (
    select date, recording_id, start_ms, end_ms
    from diarized_transcripts
    where date between date '2025-12-25' and date '2025-12-31'
),
moments as (
    from said
    union all
    select date, recording_id, (1000 * max(duration_seconds))::bigint as start_ms, null as end_ms
    from recording_inventory
    where date between date '2025-12-25' and date '2025-12-31' and (date, recording_id) in (select (date, recording_id) from said)
    group by date, recording_id
),
ordered as (
    select
        date,
        recording_id,
        start_ms,
        greatest(0, max(end_ms) over (
            partition by date, recording_id
            order by start_ms, end_ms
            rows between unbounded preceding and 1 preceding
        )) as heard_until_ms
    from moments
)
select
    date,
    recording_id,
    round(greatest(0, max(start_ms - heard_until_ms)) / 1000, 1) as silent_seconds,
    round(arg_max(heard_until_ms, start_ms - heard_until_ms) / 1000, 1) as from_second
from ordered
group by date, recording_id
order by silent_seconds desc nulls last, date, recording_id
limit 20
