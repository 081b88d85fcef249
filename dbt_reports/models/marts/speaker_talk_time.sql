{{ config(materialized='incremental') }}

with segments as (
    select * from {{ ref('stg_diarized_transcripts') }}
),

speakers as (
    select
        date,
        recording_id,
        speaker,
        row_number() over (partition by date, recording_id order by speaker) as number,
        case when count(side) = count(*) and min(side) = max(side) then min(side) end as side,
        count(*) as segments,
        sum(words)::bigint as words,
        max(end_ms) as last_ms
    from segments
    group by date, recording_id, speaker
),

{#- Segments of one speaker that touch or overlap are one turn. -#}
marked as (
    select
        date,
        recording_id,
        speaker,
        start_ms,
        end_ms,
        coalesce(start_ms > max(end_ms) over earlier, true) as begins_turn
    from segments
    where length_ms > 0
    window earlier as (
        partition by date, recording_id, speaker
        order by start_ms, end_ms
        rows between unbounded preceding and 1 preceding
    )
),

counted as (
    select
        *,
        count(*) filter (where begins_turn) over (
            partition by date, recording_id, speaker
            order by start_ms, end_ms
            rows between unbounded preceding and current row
        ) as turn
    from marked
),

turns as (
    select
        date,
        recording_id,
        speaker,
        min(start_ms) as start_ms,
        max(end_ms) as end_ms
    from counted
    group by date, recording_id, speaker, turn
),

talk as (
    select
        date,
        recording_id,
        speaker,
        count(*) as turns,
        sum(end_ms - start_ms)::bigint as talk_ms
    from turns
    group by date, recording_id, speaker
),

{#- Who talks from when on: the running count of voices, and the sum of their numbers, which names a voice alone. -#}
numbered as (
    select turns.*, speakers.number
    from turns
    inner join speakers using (date, recording_id, speaker)
),

edges as (
    select date, recording_id, start_ms as at_ms, 1 as voices, number as numbers
    from numbered
    union all
    select date, recording_id, end_ms as at_ms, -1 as voices, -number as numbers
    from numbered
),

moments as (
    select date, recording_id, at_ms, sum(voices) as voices, sum(numbers) as numbers
    from edges
    group by date, recording_id, at_ms
),

stretches as (
    select
        date,
        recording_id,
        lead(at_ms) over in_time - at_ms as length_ms,
        sum(voices) over in_time as voices,
        sum(numbers) over in_time as numbers
    from moments
    window in_time as (partition by date, recording_id order by at_ms)
),

spoken as (
    select
        date,
        recording_id,
        sum(length_ms)::bigint as spoken_ms
    from stretches
    where voices > 0
    group by date, recording_id
),

alone as (
    select
        date,
        recording_id,
        numbers as number,
        sum(length_ms)::bigint as alone_ms
    from stretches
    where voices = 1
    group by date, recording_id, numbers
),

{#- A recording is as long as the source says, or longer where a segment ends later. -#}
lengths as (
    select
        speakers.date,
        speakers.recording_id,
        greatest(
            max(speakers.last_ms), (max(listed.duration_seconds) * 1000)::bigint
        ) as recording_ms
    from speakers
    left join {{ ref('stg_recording_inventory') }} as listed
        on speakers.date = listed.date and speakers.recording_id = listed.recording_id
    group by speakers.date, speakers.recording_id
)

select
    speakers.date,
    speakers.recording_id,
    speakers.speaker,
    speakers.side,
    speakers.segments,
    coalesce(talk.turns, 0) as turns,
    speakers.words,
    coalesce(talk.talk_ms, 0) / 1000 as talk_seconds,
    (coalesce(talk.talk_ms, 0) - coalesce(alone.alone_ms, 0)) / 1000 as overlap_seconds,
    coalesce(talk.talk_ms, 0) / nullif((sum(talk.talk_ms) over of_recording)::bigint, 0) as talk_share,
    lengths.recording_ms / 1000 as recording_seconds,
    coalesce(spoken.spoken_ms, 0) / 1000 as spoken_seconds,
    (lengths.recording_ms - coalesce(spoken.spoken_ms, 0)) / 1000 as silence_seconds
from speakers
inner join lengths using (date, recording_id)
left join talk using (date, recording_id, speaker)
left join alone using (date, recording_id, number)
left join spoken using (date, recording_id)
window of_recording as (partition by date, recording_id)
