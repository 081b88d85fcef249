{#- As the check day_complete judges a day, but by the tables alone: it also looks at the objects. -#}
with days as (
    select *, has_inventory and has_audio and has_report as is_whole
    from {{ ref('stg_days') }}
),

whole_days as (
    select date from days where is_whole
),

keys as (
    select date, recording_id, file_index, count(*) filter (where listed) as listed, count(*) as found
    from (
        select date, recording_id, file_index, true as listed from {{ ref('stg_recording_inventory') }}
        union all
        select date, recording_id, file_index, false as listed from {{ ref('stg_recording_audio') }}
    )
    group by date, recording_id, file_index
),

problems as (
    {% for table in ['recording_inventory', 'recording_audio', 'availability_report'] -%}
    select date, 'missing table {{ table }}' as problem, 1 as recordings
    from days
    where not has_{{ {'recording_inventory': 'inventory', 'recording_audio': 'audio'}.get(table, 'report') }}
    union all
    {% endfor -%}
    select date, 'listed without an id' as problem, malformed_entries as recordings
    from {{ ref('stg_inventory_notes') }}
    where malformed_entries > 0 and date in (select date from whole_days)
    union all
    select
        date,
        'conversations whose recordings may not be seen (recording:recording:view for their division) or were not told of' as problem,
        unreadable_conversations as recordings
    from {{ ref('stg_inventory_notes') }}
    where unreadable_conversations > 0 and date in (select date from whole_days)
    union all
    select date, 'without exactly one outcome' as problem, count(distinct recording_id) as recordings
    from keys
    where (listed != 1 or found != 2) and date in (select date from whole_days)
    group by date
    union all
    select date, status || ' (' || coalesce(reason, 'no reason') || ')' as problem, count(*) as recordings
    from {{ ref('stg_recording_audio') }}
    where status in {{ unsettled_statuses() }} and date in (select date from whole_days)
    group by date, status, reason
),

whys as (
    select
        date,
        string_agg(format('{:,}', recordings) || ' ' || problem, ', ' order by problem) as why,
        sum(recordings)::bigint as problems
    from problems
    group by date
),

listed as (
    select date, count(*) as listed
    from {{ ref('stg_recording_inventory') }}
    group by date
),

stored as (
    select date, count(*) as stored
    from {{ ref('stg_recording_audio') }}
    where is_stored
    group by date
)

select
    days.date,
    days.has_inventory,
    days.is_whole and whys.why is null as is_complete,
    whys.why,
    coalesce(whys.problems, 0) as problems,
    coalesce(listed.listed, 0) as listed,
    coalesce(stored.stored, 0) as stored
from days
left join whys on days.date = whys.date
left join listed on days.date = listed.date
left join stored on days.date = stored.date
