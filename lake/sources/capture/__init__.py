"""Change capture: a table's snapshot and then every change of it, from PostgreSQL's log, as history rows."""
