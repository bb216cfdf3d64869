"""What crosses a process line: contracts, taxonomy, settings, errors, tables, the red-flag rules.

Nothing here imports producer, workers or dashboard.
"""
