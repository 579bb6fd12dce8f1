"""Look-up tables of the radiative transfer of Level-2A: how they are built, stored and opened."""
