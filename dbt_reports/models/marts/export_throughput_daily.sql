{{ config(materialized='incremental') }}
{#- Sums of doubles depend on the order in which threads add them: seconds are added as decimals. -#}
with listed as (
    select date, count(*) as recordings
    from {{ ref('stg_recording_inventory') }}
    group by date
),

work as (
    select
        date,
        count(distinct run_id) as runs,
        count(distinct {'id': recording_id, 'file': file_index}) filter (where recording_id is not null) as worked_on,
        coalesce(sum(attempts), 0)::bigint as attempts,
        coalesce(sum(bytes_fetched), 0)::bigint as bytes_fetched,
        coalesce(sum(seconds::decimal(38, 15)), 0)::double as transfer_seconds,
        coalesce(sum(calls) filter (where operation not in {{ operations_without_api_call() }}), 0)::bigint as api_calls,
        coalesce(sum(calls) filter (where operation in {{ operations_without_api_call() }}), 0)::bigint as media_calls,
        coalesce(sum(calls) filter (where http_status = 429), 0)::bigint as refused_calls,
        coalesce(sum(calls) filter (where http_status = 0 or http_status >= 400), 0)::bigint as failed_calls,
        coalesce(sum(retries), 0)::bigint as retries,
        coalesce(sum(waited_seconds::decimal(38, 15)), 0)::double as waited_seconds
    from {{ ref('stg_export_runs') }}
    group by date
),

days as (
    select
        days.date,
        coalesce(listed.recordings, 0) as recordings,
        coalesce(work.runs, 0) as runs,
        coalesce(work.worked_on, 0) as worked_on,
        coalesce(work.attempts, 0) as attempts,
        coalesce(work.bytes_fetched, 0) as bytes_fetched,
        coalesce(work.transfer_seconds, 0) as transfer_seconds,
        coalesce(work.api_calls, 0) as api_calls,
        coalesce(work.media_calls, 0) as media_calls,
        coalesce(work.refused_calls, 0) as refused_calls,
        coalesce(work.failed_calls, 0) as failed_calls,
        coalesce(work.retries, 0) as retries,
        coalesce(work.waited_seconds, 0) as waited_seconds
    from {{ ref('stg_exported_days') }} as days
    left join listed on days.date = listed.date
    left join work on days.date = work.date
)

select
    *,
    bytes_fetched / nullif(transfer_seconds, 0) as bytes_per_second,
    {{ per_1000('api_calls') }} as api_calls_per_1000,
    {{ per_1000('retries') }} as retries_per_1000,
    {{ per_1000('bytes_fetched') }} as bytes_fetched_per_1000,
    {{ per_1000('transfer_seconds') }} as transfer_seconds_per_1000
from days
