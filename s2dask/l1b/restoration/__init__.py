"""Restoration of one band of one detector: deconvolution and denoising, both off in operations."""
