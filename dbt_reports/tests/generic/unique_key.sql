{% test unique_key(model, columns) %}
    {#- Rows whose key is not theirs alone; nulls are values here and equal each other. -#}
    select {{ columns | join(', ') }}, count(*) as rows_with_it
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
