-- How often did the source refuse or fail us each day, and what did that cost?
select
    date,
    count(distinct run_id) as runs,
    coalesce(sum(calls) filter (where http_status = 429), 0)::bigint as refused_calls,
    coalesce(sum(retries), 0)::bigint as retries,
    round(coalesce(sum(waited_seconds), 0) / 60, 1) as waited_minutes
from export_runs
where step in ('recording_inventory', 'storage_quota', 'recording_audio', 'transcripts') -- exports; not sweeps and the like
group by date
order by date
