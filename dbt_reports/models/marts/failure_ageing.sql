with open_files as (
    select * from {{ ref('recording_facts') }}
    where status in {{ unsettled_statuses() }}
),

exported_days as (
    select
        date,
        row_number() over (order by date) as number
    from {{ ref('int_availability_by_day') }}
),

newest as (
    select max(date) as date from {{ ref('int_completeness_by_day') }}
),

{#- Exported days that follow each other with the same reason are one series of it. -#}
reasons as (
    select
        days.date,
        days.number,
        open_files.status,
        open_files.reason
    from exported_days as days
    inner join open_files on days.date = open_files.date
    group by days.date, days.number, open_files.status, open_files.reason
),

series as (
    select
        *,
        number - row_number() over (partition by status, reason order by number) as series
    from reasons
),

begun as (
    select
        *,
        min(date) over (partition by status, reason, series) as reason_since
    from series
)

select
    files.date,
    files.recording_id,
    files.file_index,
    files.conversation_id,
    files.media_type,
    files.format,
    files.status,
    files.reason,
    newest.date - files.date as age_days,
    case
        when newest.date - files.date <= 1 then 'up to 1 day'
        when newest.date - files.date <= 7 then '2 to 7 days'
        when newest.date - files.date <= 30 then '8 to 30 days'
        else 'over 30 days'
    end as age_group,
    begun.reason_since,
    newest.date - begun.reason_since as reason_age_days,
    files.runs,
    files.attempts
from open_files as files
inner join begun
    on
        files.date = begun.date
        and files.status = begun.status
        and files.reason is not distinct from begun.reason
cross join newest
order by files.date, files.recording_id, files.file_index
