/*
description: >
  Each electricity invoice beside what its meter reported for the days it bills. Where some of that
  time was not reported, the rest is taken to be like it; under nine tenths nothing is said. An
  invoice differs when it is off by more than 5 % of what was metered.
grain: one row per invoice_id
owner: facility-data
metrics:
  - name: billed_kwh
    description: Electricity billed.
    formula: invoice kwh
    unit: kWh
  - name: metered_kwh
    description: Electricity that the meter reported for the days billed.
    formula: sum(kwh) of the meter's readings, period_start_on <= read_on < period_end_on
    unit: kWh
  - name: metered_ratio
    description: Part of the time billed that the meter reported.
    formula: sum(minutes) / (days billed * 1440)
    unit: ratio
  - name: difference_kwh
    description: >
      What was billed beyond what was metered, the latter scaled up to the whole time; none where
      nothing was reported.
    formula: billed_kwh - metered_kwh / metered_ratio
    unit: kWh
  - name: difference_ratio
    description: The difference as a part of what was metered.
    formula: difference_kwh / (metered_kwh / metered_ratio)
    unit: ratio
*/
with invoices as (
    select * from staging.stg_electricity_invoices
),

readings as (
    select * from staging.stg_electricity_readings
),

metered as (
    select
        invoices.invoice_id,
        invoices.site,
        invoices.meter_id,
        invoices.period_start_on,
        invoices.period_end_on,
        invoices.kwh as billed_kwh,
        count(readings.reading_id) as reading_count,
        invoices.day_count * 1440 as billed_minutes,
        coalesce(sum(readings.minute_count), 0) as metered_minutes,
        cast(coalesce(sum(readings.kwh), 0) as decimal(18, 3)) as metered_kwh,
    from invoices
    left join readings
        on
            invoices.meter_id = readings.meter_id
            and invoices.period_start_on <= readings.read_on
            and invoices.period_end_on > readings.read_on
    group by all
),

scaled as (
    select
        *,
        cast(
            metered_kwh * billed_minutes / nullif(metered_minutes, 0) as decimal(18, 3)
        ) as expected_kwh,
    from metered
),

electricity_reconciliation as (
    select
        invoice_id,
        site,
        meter_id,
        period_start_on,
        period_end_on,
        reading_count,
        billed_kwh,
        metered_kwh,
        cast(metered_minutes / billed_minutes as decimal(9, 6)) as metered_ratio,
        cast(billed_kwh - expected_kwh as decimal(18, 3)) as difference_kwh,
        cast(
            (billed_kwh - expected_kwh) / nullif(expected_kwh, 0) as decimal(18, 6)
        ) as difference_ratio,
        case
            when reading_count = 0 then 'not metered'
            when metered_minutes < 0.9 * billed_minutes then 'incomplete'
            when abs(billed_kwh - expected_kwh) > 0.05 * expected_kwh then 'differs'
            else 'agrees'
        end as verdict,
    from scaled
)

select * from electricity_reconciliation
