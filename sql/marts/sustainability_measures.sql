/*
description: >
  What would save most, ranked: three measures, each with what it would have saved over the time
  recorded, at the prices and habits of reference.saving_assumptions. Estimates, not measurements.
grain: one row per measure
owner: facility-data
metrics:
  - name: saved_kwh
    description: >
      Electricity saved. Levelling: what sites used above the median per square metre of their
      month. Switching off: unused hours of devices * idle_share * idle_power.
    formula: sum(kwh - median kwh_per_m2 * floor_m2), or unused hours * idle_share * idle_power
    unit: kWh
  - name: saved_paper_kg
    description: Paper saved had every job been duplex.
    formula: sum(saveable_kg)
    unit: kg
  - name: saved_kg_co2e
    description: Carbon of the electricity saved, at the mean factor of all consumption.
    formula: saved_kwh * sum(kg_co2e) / sum(kwh)
    unit: kg CO2e
  - name: saved_inr
    description: Money saved.
    formula: saved_kwh * electricity_price + saved_paper_kg * paper_price
    unit: INR
  - name: saving_rank
    description: Place by money saved, 1 for the most.
    formula: rank() over (order by saved_inr desc)
*/
with footprint as (
    select * from marts.carbon_footprint
),

paper as (
    select * from marts.paper_usage
),

devices as (
    select * from marts.device_utilisation
),

sites as (
    select * from reference.footprint_sites
),

assumptions as (
    select
        cast(max(value) filter (where assumption = 'electricity_price') as decimal(9, 4))
            as electricity_price,
        cast(max(value) filter (where assumption = 'idle_power') as decimal(9, 4)) as idle_power,
        cast(max(value) filter (where assumption = 'idle_share') as decimal(9, 4)) as idle_share,
        cast(max(value) filter (where assumption = 'paper_price') as decimal(9, 4)) as paper_price,
    from reference.saving_assumptions
),

medians as (
    select
        footprint_month,
        median(kwh_per_m2) as median_per_m2,
    from footprint
    group by footprint_month
),

carbon as (
    select sum(kg_co2e) / nullif(sum(kwh) filter (where kg_co2e is not null), 0) as kg_per_kwh
    from footprint
),

excesses as (
    select
        greatest(
            footprint.kwh - cast(medians.median_per_m2 * sites.floor_m2 as decimal(18, 6)), 0
        ) as excess_kwh,
    from footprint
    inner join medians on footprint.footprint_month = medians.footprint_month
    inner join sites on footprint.site = sites.site
),

unused as (
    select count(*) * 86400 - sum(active_seconds) as unused_seconds
    from devices
),

quantities as (
    select
        'Bring every site to the median per square metre' as measure,
        sum(excess_kwh) as saved_kwh,
        cast(0 as decimal(38, 7)) as saved_paper_kg,
    from excesses
    union all
    select
        'Switch devices off while nobody uses them' as measure,
        cast(
            unused.unused_seconds * assumptions.idle_share * assumptions.idle_power / 3600
            as decimal(38, 6)
        ) as saved_kwh,
        cast(0 as decimal(38, 7)) as saved_paper_kg,
    from unused
    cross join assumptions
    union all
    select
        'Print on both sides' as measure,
        cast(0 as decimal(38, 6)) as saved_kwh,
        sum(saveable_kg) as saved_paper_kg,
    from paper
),

priced as (
    select
        quantities.measure,
        cast(quantities.saved_kwh as decimal(18, 3)) as saved_kwh,
        cast(quantities.saved_paper_kg as decimal(18, 3)) as saved_paper_kg,
        cast(quantities.saved_kwh * carbon.kg_per_kwh as decimal(18, 3)) as saved_kg_co2e,
        cast(
            quantities.saved_kwh * assumptions.electricity_price
            + quantities.saved_paper_kg * assumptions.paper_price
            as decimal(18, 2)
        ) as saved_inr,
    from quantities
    cross join assumptions
    cross join carbon
    where quantities.saved_kwh > 0 or quantities.saved_paper_kg > 0
),

sustainability_measures as (
    select
        *,
        rank() over (order by saved_inr desc) as saving_rank,
    from priced
)

select * from sustainability_measures
