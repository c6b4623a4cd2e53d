"""The source `api`: pages of an HTTP API, pulled politely, landed batch by batch, read on from where raw stands."""
