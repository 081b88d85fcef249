select
    date,
    has_inventory,
    has_audio,
    has_report
from {{ source('media', 'days') }}
where is_due and fingerprint is not null
