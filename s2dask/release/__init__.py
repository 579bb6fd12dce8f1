"""Delivery forms: names, SAFE, JPEG 2000, Zarr, STAC, pictures, checksums, publication."""
