{% test holds(model, expression) %}
    {#- Rows for which the expression is false or null. -#}
    select *
    from {{ model }}
    where ({{ expression }}) is not true
{% endtest %}
