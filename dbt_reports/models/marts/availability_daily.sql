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

summed as (
    select
        *,
        listed - unsupported - empty - unavailable as expected,
        pending + quarantined + failed as unsettled
    from counted
),

reasons as (
    select
        date,
        reason,
        row_number() over (partition by date order by count(*) desc, reason) as rank
    from {{ ref('stg_availability_report') }}
    where status in ('pending', 'quarantined', 'failed')
    group by date, reason
)

select
    summed.date,
    summed.listed,
    summed.available,
    summed.unsupported,
    summed.empty,
    summed.unavailable,
    summed.pending,
    summed.quarantined,
    summed.failed,
    summed.expected,
    summed.unsettled,
    summed.unsettled = 0 as is_settled,
    summed.available / nullif(summed.expected, 0) as availability_rate,
    (sum(summed.available) over last_7_days)::bigint
    / nullif((sum(summed.expected) over last_7_days)::bigint, 0) as availability_rate_7_days,
    reasons.reason as main_reason,
    summed.conversations,
    summed.with_transcript,
    summed.with_transcript / nullif(summed.available, 0) as transcript_rate,
    summed.listed_bytes,
    summed.available_bytes,
    summed.first_created_at,
    summed.last_created_at
from summed
left join reasons on summed.date = reasons.date and reasons.rank = 1
window last_7_days as (order by summed.date range between interval 6 days preceding and current row)
order by summed.date
