"""Alembic migrations; `versions/NNNN_verb_object.py`, run by `carelane database upgrade`."""
