/*
description: Paper used per site, paper and Indian calendar month, and what duplex would have saved.
grain: one row per site, paper, printed_month
owner: facility-data
partition: printed_month
metrics:
  - name: sheet_count
    description: Sheets taken; a duplex job takes half its pages, rounded up per job.
    formula: sum(case when is_duplex then ceil(pages / 2) else pages end)
    unit: sheets
  - name: paper_kg
    description: Weight of the sheets, exact; none where the paper has no weight in paper_weights.
    formula: sheet_count * sheet_weight_g / 1000
    unit: kg
  - name: saveable_kg
    description: Weight that would not have been used had every job been duplex.
    formula: (sheet_count - sum(ceil(pages / 2))) * sheet_weight_g / 1000
    unit: kg
  - name: duplex_ratio
    description: Part of the pages that were printed on both sides of the sheet.
    formula: sum(pages) where is_duplex / sum(pages)
    unit: ratio
*/
with jobs as (
    select * from staging.stg_print_logs
),

weights as (
    select * from reference.paper_weights
),

summed as (
    select
        site,
        paper,
        printed_month,
        count(*) as job_count,
        cast(sum(page_count) as bigint) as page_count,
        cast(coalesce(sum(page_count) filter (where is_duplex), 0) as bigint) as duplex_page_count,
        cast(sum(sheet_count) as bigint) as sheet_count,
        cast(sum(sheet_count - duplex_sheet_count) as bigint) as saveable_sheet_count,
    from jobs
    group by site, paper, printed_month
),

weighed as (
    select
        summed.*,
        cast(weights.sheet_weight_g as decimal(9, 4)) as sheet_weight_g,
    from summed
    left join weights on summed.paper = weights.paper
),

paper_usage as (
    select
        *,
        cast(duplex_page_count / nullif(page_count, 0) as decimal(9, 6)) as duplex_ratio,
        cast(
            cast(sheet_count as decimal(14, 0)) * sheet_weight_g * 0.001 as decimal(18, 7)
        ) as paper_kg,
        cast(
            cast(saveable_sheet_count as decimal(14, 0)) * sheet_weight_g * 0.001 as decimal(18, 7)
        ) as saveable_kg,
    from weighed
)

select * from paper_usage
