{% test never_null(model, columns) %}
    {#- Rows in which one of the columns is null: one check for a whole table instead of one per column. -#}
    select {{ columns | join(', ') }}
    from {{ model }}
    where {% for column in columns %}{{ column }} is null{{ '' if loop.last else ' or ' }}{% endfor %}
{% endtest %}
