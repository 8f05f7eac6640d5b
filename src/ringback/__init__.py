"""Ringback: a complete webhook system."""

__version__ = "0.1.0"
