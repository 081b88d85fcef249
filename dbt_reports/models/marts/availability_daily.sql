with days as (
    select
        *,
        listed - unsupported - empty - unavailable as expected,
        pending + quarantined + failed as unsettled
    from {{ ref('int_availability_by_day') }}
)

select
    date,
    listed,
    available,
    unsupported,
    empty,
    unavailable,
    pending,
    quarantined,
    failed,
    expected,
    unsettled,
    unsettled = 0 as is_settled,
    available / nullif(expected, 0) as availability_rate,
    (sum(available) over last_7_days)::bigint
    / nullif((sum(expected) over last_7_days)::bigint, 0) as availability_rate_7_days,
    main_reason,
    conversations,
    with_transcript,
    with_transcript / nullif(available, 0) as transcript_rate,
    listed_bytes,
    available_bytes,
    first_created_at,
    last_created_at
from days
window last_7_days as (order by date {{ last_days(7) }})
order by date
