{#- A table: marts see the days of one build while others are being exported, and analysts find them without the root. -#}
{{ config(materialized='table') }}

select date
from {{ source('media', 'exported_days') }}
order by date
