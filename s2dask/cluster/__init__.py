"""Dask clusters: local, and workers' environment."""
