"""Carelane's de-identification beside presidio-analyzer; see README.md."""
