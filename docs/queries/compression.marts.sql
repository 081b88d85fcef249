-- What does compression save, by media type and format?
select
    media_type,
    format,
    count(*) as files,
    round(sum(source_bytes) / 1e9, 3) as gb_before,
    round(sum(stored_bytes) / 1e9, 3) as gb_stored,
    round(sum(source_bytes) / sum(stored_bytes), 3) as ratio,
    round(max(compression_ratio), 2) as best
from recording_facts
where is_stored
group by media_type, format
order by ratio desc, media_type, format
