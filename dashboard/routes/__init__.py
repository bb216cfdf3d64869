"""The dashboard's routes, a blueprint per page; each view says what access it asks for."""
