-- In a month, which share of the talking is each agent's, in the calls they took part in?
-- Put the first and the last day of your month here.
with segments as (
    select
        date,
        recording_id,
        speaker,
        lower(coalesce(participant_purpose, speaker)) in ('agent', 'user') as is_agents,
        end_ms,
        -- what a speaker said at the same time already counts once
        greatest(start_ms, 0, max(end_ms) over (
            partition by date, recording_id, speaker
            order by start_ms, end_ms
            rows between unbounded preceding and 1 preceding
        )) as from_ms
    from diarized_transcripts
    where date between date '2025-12-01' and date '2025-12-31'
),
said as (
    select
        date,
        recording_id,
        speaker,
        bool_and(coalesce(is_agents, false)) as is_agent,
        count(*) as segments,
        sum(greatest(end_ms - from_ms, 0)) as ms
    from segments
    group by date, recording_id, speaker
),
calls as (
    select date, recording_id, sum(ms) as ms
    from said
    group by date, recording_id
)
select
    said.speaker as agent,
    count(*) as calls,
    sum(said.segments)::bigint as segments,
    round(sum(said.ms) / 3.6e6, 1) as hours,
    round(sum(said.ms) / sum(calls.ms), 2) as share
from said
inner join calls on said.date = calls.date and said.recording_id = calls.recording_id
where said.is_agent
group by said.speaker
order by calls desc, agent
