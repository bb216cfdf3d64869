"""Benchmarks, and what they run against. README.md says what each measures and how to run it."""
