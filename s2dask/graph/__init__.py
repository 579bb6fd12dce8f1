"""Steps, units of work and their Dask graphs; knows no level."""
