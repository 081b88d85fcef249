select
    date,
    malformed_entries,
    unreadable_conversations
from {{ source('media', 'inventory_notes') }}
where date in (select date from {{ ref('stg_exported_days') }})
