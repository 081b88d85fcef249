-- In a month, which share of the talking is each agent's, in the calls they took part in?
with said as (
    select
        *,
        sum(talk_seconds) over (partition by date, recording_id) as seconds_of_call
    from speaker_talk_time
    where date between date '2025-12-01' and date '2025-12-31'
)
select
    speaker as agent,
    count(*) as calls,
    sum(segments)::bigint as segments,
    round(sum(talk_seconds) / 3600, 1) as hours,
    round(sum(talk_seconds) / sum(seconds_of_call), 2) as share
from said
where side = 'agent'
group by speaker
order by calls desc, agent
