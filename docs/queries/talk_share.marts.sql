-- In a month, which share of the talking is each agent's, in the calls they took part in?
-- Put the first and the last day of your month here.
with said as (
    select *
    from speaker_talk_time
    where date between date '2025-12-01' and date '2025-12-31'
),
calls as (
    select date, recording_id, sum(talk_seconds) as seconds
    from said
    group by date, recording_id
)
select
    said.speaker as agent,
    count(*) as calls,
    sum(said.segments)::bigint as segments,
    round(sum(said.talk_seconds) / 3600, 1) as hours,
    round(sum(said.talk_seconds) / sum(calls.seconds), 2) as share
from said
inner join calls on said.date = calls.date and said.recording_id = calls.recording_id
where said.side = 'agent'
group by said.speaker
order by calls desc, agent
