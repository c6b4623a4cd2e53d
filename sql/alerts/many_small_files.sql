/*
title: A table is made of many small files
severity: info
description: >
  Readers open every file of a table: a few hundred small ones make each query slow. sluice
  maintain joins those of the tables that are only appended to; another table is joined when it is
  rebuilt. Measured by sluice health.
worse_by: 1.0
*/
with newest as (
    select * from ops.platform_health_metrics
    qualify measured_at = max(measured_at) over ()
),

many_small_files as (
    select
        subject,
        subject as breach_key,
        value as measured,
        cast(200 as double) as threshold,
        printf('%d of its files are small.', cast(value as bigint)) as message,
    from newest
    where metric = 'table_small_file_count' and value > 200
)

select * from many_small_files
