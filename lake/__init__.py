"""The lakehouse below Prefect: contracts, landing, Delta tables, the DuckDB engine, the ledger and releases."""
