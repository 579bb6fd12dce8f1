"""What comes from outside: processing parameters, terrain, Earth orientation, meteorology."""
