"""A model of the whole path: measured, checked, then used to plan. See README.md."""
