"""Level-1C: orthoimages of top-of-atmosphere reflectance."""
