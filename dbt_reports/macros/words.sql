{#- Lists that several models need. -#}

{% macro unsettled_statuses() %}('pending', 'quarantined', 'failed'){% endmacro %}

{% macro operations_without_api_call() %}
    {#- media_pipeline.genesys.pacing.NO_API_CALLS: they go to a media host and cost nothing of the rate budget. -#}
    ('file', 'transcript_file')
{% endmacro %}

{% macro export_steps() %}
    {#- media_pipeline.tables.runs.EXPORT_STEPS: other work is counted in the day on which it is done. -#}
    ('recording_inventory', 'storage_quota', 'recording_audio', 'transcripts')
{% endmacro %}

{% macro last_days(days) %}
    {#- The frame of a window over so many days that end with the row's own. -#}
    range between interval {{ days - 1 }} days preceding and current row
{%- endmacro %}

{% macro per_1000(column) %}{{ column }} * 1000.0 / nullif(recordings, 0){% endmacro %}

{% macro words_in(text) %}
    {#- Runs of characters other than white space. Splitting at single spaces takes a tenth of the expression's time,
        and nearly all that is said has no other white space. -#}
    case
        when
            {{ text }} = ''
            or starts_with({{ text }}, ' ')
            or ends_with({{ text }}, ' ')
            or contains({{ text }}, '  ')
            {% for code in [9, 10, 12, 13] -%}
            or contains({{ text }}, chr({{ code }}))
            {% endfor -%}
        then len(regexp_extract_all({{ text }}, '\S+'))
        else len(string_split({{ text }}, ' '))
    end
{%- endmacro %}
