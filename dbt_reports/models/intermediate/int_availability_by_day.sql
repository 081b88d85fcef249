with counted as (
    select
        days.date,
        count(files.recording_id) as listed,
        count(*) filter (where files.status = 'available') as available,
        count(*) filter (where files.status = 'unsupported') as unsupported,
        count(*) filter (where files.status = 'empty') as empty,
        count(*) filter (where files.status = 'unavailable') as unavailable,
        count(*) filter (where files.status = 'pending') as pending,
        count(*) filter (where files.status = 'quarantined') as quarantined,
        count(*) filter (where files.status = 'failed') as failed,
        count(distinct files.conversation_id) as conversations,
        count(*) filter (where files.status = 'available' and files.has_transcript) as with_transcript,
        coalesce(sum(files.size_bytes), 0)::bigint as listed_bytes,
        coalesce(sum(files.size_bytes) filter (where files.status = 'available'), 0)::bigint as available_bytes,
        min(files.created_at) as first_created_at,
        max(files.created_at) as last_created_at
    from {{ ref('stg_exported_days') }} as days
    left join {{ ref('stg_availability_report') }} as files on days.date = files.date
    group by days.date
),

reasons as (
    select
        date,
        reason,
        row_number() over (partition by date order by count(*) desc, reason) as rank
    from {{ ref('stg_availability_report') }}
    where status in {{ unsettled_statuses() }}
    group by date, reason
)

select
    counted.*,
    reasons.reason as main_reason
from counted
left join reasons on counted.date = reasons.date and reasons.rank = 1
