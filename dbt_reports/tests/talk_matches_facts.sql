{#- A warning: a run that broke off between the tables leaves them apart until its day runs again. -#}
{{ config(severity='warn', meta={
    'description': 'Each recording has the same words and speakers in speaker_talk_time and recording_facts.',
    'dagster': {'ref': {'name': 'speaker_talk_time'}},
}) }}

with talk as (
    select
        date,
        recording_id,
        count(*) as speakers,
        sum(words)::bigint as words
    from {{ ref('speaker_talk_time') }}
    where {{ of_due_days() }}
    group by date, recording_id
),

facts as (
    select
        date,
        recording_id,
        max(speakers) as speakers,
        max(words) as words
    from {{ ref('recording_facts') }}
    where {{ of_due_days() }}
    group by date, recording_id
    having max(speakers) is not null
)

select
    coalesce(talk.date, facts.date) as date,
    coalesce(talk.recording_id, facts.recording_id) as recording_id,
    talk.speakers,
    facts.speakers as speakers_in_facts,
    talk.words,
    facts.words as words_in_facts
from talk
full join facts on talk.date = facts.date and talk.recording_id = facts.recording_id
where
    talk.speakers is distinct from facts.speakers
    or talk.words is distinct from facts.words
