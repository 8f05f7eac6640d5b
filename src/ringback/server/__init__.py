"""The HTTP face: the management API, health, metrics."""
