{#- A table, so that one build sees the same days in all its models while other days are being exported. -#}
{{ config(materialized='table') }}

select date
from {{ source('media', 'exported_days') }}
order by date
