"""Measures a real server: how fast it accepts, how fast it delivers, and what that costs.

``python -m bench`` starts the server, a receiver (``bench.sink``) and a publisher (``bench.generator``), each
in a process of its own, all on loopback, and prints a table. docs/reference/benchmarks.md explains it.
"""
