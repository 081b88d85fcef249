{% macro publish_marts(results) %}
    {#- After a run in which nothing failed: each mart that was built becomes marts/<mart>/part-0.parquet. -#}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- set broken = results | rejectattr('status', 'in', ['success', 'pass', 'warn', 'no-op']) | list -%}
        {%- if broken -%}
            {%- do log('The marts are not published: ' ~ (broken | map(attribute='node.name') | join(', ')), info=true) -%}
        {%- else -%}
            {%- for result in results if result.node.resource_type == 'model' and 'marts' in result.node.fqn -%}
                {%- set node = result.node -%}
                {%- set mart = api.Relation.create(
                    database=node.database, schema=node.schema, identifier=node.alias, type='table'
                ) -%}
                {%- do store_relation('media', mart, 'marts/' ~ node.name ~ '/part-0.parquet', 'parquet', {}) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
