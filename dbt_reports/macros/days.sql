{#- raw.due_days: what the plugin found to be others than when a whole build last passed with them. -#}

{% macro forget_due_days() %}
    {#- Before a model that keeps earlier days takes in the due ones; days that are gone are due, too. -#}
    {%- if is_incremental() -%}
        delete from {{ this }} where date in (select date from raw.due_days)
    {%- endif -%}
{% endmacro %}

{% macro get_where_subquery(relation) %}
    {#- dbt's own, for tests: models that keep earlier days are looked at where this build changed them.
        `dbt test` sees all days. -#}
    {%- set where = config.get('where') -%}
    {%- if execute and model.attached_node in graph.nodes
        and graph.nodes[model.attached_node].config.materialized == 'incremental' -%}
        {%- set due = 'date in (select date from raw.due_days)' -%}
        {%- set where = due if where is none else '(' ~ where ~ ') and ' ~ due -%}
    {%- endif -%}
    {%- if where -%}
        (select * from {{ relation }} where {{ where }}) as dbt_subquery
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{% endmacro %}

{% macro of_due_days(relation=none) %}
    {#- For tests that compare: staging holds the due days only. -#}
    {{ (relation ~ '.') if relation }}date in (select date from raw.due_days)
{%- endmacro %}
