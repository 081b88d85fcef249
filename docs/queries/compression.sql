-- What does compression save, by media type and format?
select
    listed.media_type,
    listed.format,
    count(*) as files,
    round(sum(audio.source_size_bytes) / 1e9, 3) as gb_before,
    round(sum(audio.stored_size_bytes) / 1e9, 3) as gb_stored,
    round(sum(audio.source_size_bytes) / sum(audio.stored_size_bytes), 3) as ratio,
    round(max(audio.source_size_bytes / audio.stored_size_bytes), 2) as best
from recording_inventory as listed
inner join recording_audio as audio
    on
        listed.date = audio.date
        and listed.recording_id = audio.recording_id
        and listed.file_index = audio.file_index
where audio.status = 'stored'
group by listed.media_type, listed.format
order by ratio desc, media_type, format
