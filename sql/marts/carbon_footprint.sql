/*
description: >
  Electricity and its carbon per site and calendar month. An invoice over several months is shared
  out by days, in whole watt-hours, so that the shares add up to the invoice exactly. The factor of
  a month is the newest of its grid region that is not younger than the month.
grain: one row per site, footprint_month
owner: facility-data
metrics:
  - name: kwh
    description: Electricity used, exact to the watt-hour.
    formula: sum(invoice kwh * days in the month / days of the invoice)
    unit: kWh
  - name: kg_co2e
    description: >
      Carbon dioxide of it by the grid's published factor, which counts CO2 alone; none where the
      grid region has no factor.
    formula: kwh * kg_co2e_per_kwh
    unit: kg CO2e
  - name: kwh_per_m2
    description: Electricity per square metre of floor; none where the floor is not known.
    formula: kwh / floor_m2
    unit: kWh per m2
*/
with invoices as (
    select * from staging.stg_electricity_invoices
),

sites as (
    select * from reference.footprint_sites
),

factors as (
    select * from reference.emission_factors
),

parts as (
    select
        *,
        unnest(
            generate_series(
                date_trunc('month', period_start_on),
                date_trunc('month', period_end_on - 1),
                interval 1 month
            )
        ) as month_start,
    from invoices
),

shared as (
    select
        site,
        cast(month_start as date) as footprint_month,
        day_count,
        cast(kwh * 1000 as hugeint) as watt_hours,
        greatest(cast(month_start as date), period_start_on) - period_start_on as days_before,
        least(cast(month_start + interval 1 month as date), period_end_on)
        - period_start_on as days_up_to,
    from parts
),

summed as (
    select
        site,
        footprint_month,
        count(*) as invoice_count,
        sum(days_up_to - days_before) as billed_day_count,
        sum(
            watt_hours * days_up_to // day_count - watt_hours * days_before // day_count
        ) as watt_hours,
    from shared
    group by site, footprint_month
),

placed as (
    select
        summed.*,
        sites.city,
        coalesce(sites.grid_region, 'Unknown') as grid_region,
        sites.floor_m2,
        cast(cast(summed.watt_hours as decimal(18, 0)) * 0.001 as decimal(18, 3)) as kwh,
    from summed
    left join sites on summed.site = sites.site
),

carbon_footprint as (
    select
        placed.site,
        placed.city,
        placed.grid_region,
        placed.footprint_month,
        placed.invoice_count,
        cast(placed.billed_day_count as bigint) as billed_day_count,
        placed.kwh,
        factors.year_from as factor_year_from,
        cast(factors.kg_co2e_per_kwh as decimal(9, 3)) as kg_co2e_per_kwh,
        cast(
            placed.kwh * cast(factors.kg_co2e_per_kwh as decimal(9, 3)) as decimal(24, 6)
        ) as kg_co2e,
        cast(placed.kwh / nullif(placed.floor_m2, 0) as decimal(18, 4)) as kwh_per_m2,
    from placed
    left join factors
        on
            placed.grid_region = factors.grid_region
            and placed.footprint_month >= factors.year_from
    qualify row_number() over (
        partition by placed.site, placed.footprint_month
        order by factors.year_from desc
    ) = 1
)

select * from carbon_footprint
