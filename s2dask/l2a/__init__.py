"""Level-2A: from top-of-atmosphere to surface reflectance, with its classification and atmosphere."""
