-- In a month, which share of the talking is each agent's, in the calls they took part in?
with said as (
    select
        date,
        recording_id,
        speaker,
        participant_purpose,
        count(*) as segments,
        sum(end_ms - start_ms) as ms
    from diarized_transcripts
    where date between date '2025-12-01' and date '2025-12-31'
    group by date, recording_id, speaker, participant_purpose
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
where said.participant_purpose = 'agent'
group by said.speaker
order by calls desc, agent
