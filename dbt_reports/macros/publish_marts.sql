{% macro publish_marts(results) %}
    {#- After a run in which nothing failed: the days of each mart that was built and are others than before become
        marts/<mart>/date=YYYY-MM-DD/part-0.parquet. Days are noted as built when all models took them in. -#}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- set broken = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
        {%- set built = results | map(attribute='node') | selectattr('resource_type', 'equalto', 'model') | list -%}
        {%- if broken -%}
            {%- do log('The marts are not published: ' ~ (broken | map(attribute='node.name') | join(', ')), info=true) -%}
        {%- else -%}
            {%- for node in built if 'marts' in node.fqn -%}
                {%- set mart = api.Relation.create(
                    database=node.database, schema=node.schema, identifier=node.alias, type='table'
                ) -%}
                {%- set keeps_days = node.config.materialized == 'incremental' -%}
                {%- do store_relation('media', mart, node.name, 'parquet', {'keeps_days': keeps_days}) -%}
            {%- endfor -%}
            {%- set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | list -%}
            {%- if built | length == models | length -%}
                {%- do note_as_built(models | selectattr('config.materialized', 'equalto', 'incremental') | map(attribute='name') | list) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro note_as_built(keeping_days) %}
    {%- call statement('note_as_built') -%}
        delete from builds.days where date in (select date from raw.due_days);
        insert into builds.days select date, fingerprint from raw.days where is_due and fingerprint is not null;
        delete from builds.models;
        {% for name in keeping_days -%}
        insert into builds.models values ('{{ name }}');
        {% endfor -%}
    {%- endcall -%}
    {%- do adapter.commit() -%}
{% endmacro %}
