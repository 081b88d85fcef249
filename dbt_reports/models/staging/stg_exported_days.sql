select date
from {{ source('media', 'days') }}
where is_due and has_report
