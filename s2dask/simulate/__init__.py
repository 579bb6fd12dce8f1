"""Sessions with known truth: scene, atmosphere, instrument, telemetry. Shares constants with the processors, no code."""
