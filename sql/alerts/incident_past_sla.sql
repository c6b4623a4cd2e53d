/*
title: Incident past its time
severity: critical
description: >
  An incident is open and the time in which it was to be resolved is over. Its manager is told: the
  one named with the incident, else the manager of its owner. It is told again when twice as late.
worse_by: 1
recipients: |
  with people as (
      select staff_id, email from raw.staff
      qualify row_number() over (partition by staff_id order by _ingested_at desc, _line desc) = 1
  )
  select incidents.incident_id as breach_key, people.email as recipient
  from staging.stg_incidents as incidents
  left join staging.stg_staff as owners on owners.staff_id = incidents.owner_id
  left join people on people.staff_id = coalesce(incidents.manager_id, owners.manager_id)
*/
with incidents as (
    select * from marts.incidents_open
),

-- the newest event is of this run
run as (
    select max(log.at) as looked_at from ops.audit_log as log
),

late as (
    select
        incidents.*,
        (epoch_us(run.looked_at) - epoch_us(incidents.opened_at)) / 3600000000 as open_hours,
    from incidents
    cross join run
    where incidents.is_past_sla
),

incident_past_sla as (
    select
        incident_id || ', ' || department_name as subject,
        incident_id as breach_key,
        open_hours as measured,
        sla_hours as threshold,
        printf(
            '%s incident (%s) of %s is open for %s; it was to be resolved in %d hours.',
            upper(left(severity, 1)) || substr(severity, 2), replace(category, '-', ' '), owner_id,
            if(
                open_hours >= 96,
                printf('%d days', cast(floor(open_hours / 24) as bigint)),
                printf('%.1f hours', open_hours)
            ),
            sla_hours
        ) as message,
    from late
)

select * from incident_past_sla
order by breach_key
