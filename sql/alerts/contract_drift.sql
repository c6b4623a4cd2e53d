/*
title: A contract differs from its operational schema
severity: warning
description: >
  The system that delivers has changed its schema, or the contract was changed without it. One
  alert per difference, over when both sides agree again. `sluice contract check` tells the same.
*/
with contract_drift as (
    select
        source || if(column_name = '', '', '.' || column_name) as subject,
        source || ' ' || kind || ' ' || column_name as breach_key,
        cast(null as double) as measured,
        cast(null as double) as threshold,
        printf(
            '%s %s (%s:%d, %s:%d)',
            message, cure, contract_path, contract_line, schema_path, schema_line
        ) as message,
    from ops.contract_drift
)

select * from contract_drift
