-- How complete is each day, and what is mainly missing?
select date, listed, available, unsettled, main_reason
from availability_daily
where listed > 0
order by date
