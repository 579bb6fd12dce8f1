"""Stores: variable registry, Zarr templates, validation, openers, block writes."""
