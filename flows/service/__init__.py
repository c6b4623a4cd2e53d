"""The ingestion service: routes and answers over `lake/receiving/`. It keeps what is posted; landings do the rest."""
