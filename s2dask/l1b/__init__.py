"""Level-1B: counts of the instrument to counts proportional to radiance, one module per physical effect."""
