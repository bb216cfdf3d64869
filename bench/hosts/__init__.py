"""Carelane on several hosts: network namespaces joined by a wire with delay, loss and cuts."""
