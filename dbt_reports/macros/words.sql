{#- Lists that several models need. -#}

{% macro unsettled_statuses() %}('pending', 'quarantined', 'failed'){% endmacro %}

{% macro operations_without_api_call() %}
    {#- media_pipeline.genesys.pacing.NO_API_CALLS: they go to a media host and cost nothing of the rate budget. -#}
    ('file', 'transcript_file')
{% endmacro %}

{% macro last_days(days) %}
    {#- The frame of a window over so many days that end with the row's own. -#}
    range between interval {{ days - 1 }} days preceding and current row
{%- endmacro %}

{% macro per_1000(column) %}{{ column }} * 1000 / nullif(recordings, 0){% endmacro %}
