"""Sessions with known truth: scene, atmosphere, instrument, telemetry. Shares constants with processors, no code."""
