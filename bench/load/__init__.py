"""Load on the whole of Carelane: steady, in a burst, for long. See ../README.md."""
