-- In a month, which share of the talking is each agent's, in the calls they took part in?
with said as (
    select
        date,
        recording_id,
        speaker,
        participant_purpose,
        count(*) as segments,
        sum(end_ms - start_ms) as ms,
        sum(sum(end_ms - start_ms)) over (partition by date, recording_id) as ms_of_call
    from diarized_transcripts
    where date between date '2025-12-01' and date '2025-12-31'
    group by date, recording_id, speaker, participant_purpose
)
select
    speaker as agent,
    count(*) as calls,
    sum(segments)::bigint as segments,
    round(sum(ms) / 3.6e6, 1) as hours,
    round(sum(ms) / sum(ms_of_call), 2) as share
from said
where participant_purpose = 'agent'
group by speaker
order by calls desc, agent
