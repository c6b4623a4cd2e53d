"""The sources `postgresql` and `sqlite`: tables read through ADBC in one snapshot, in portions, as Parquet."""
