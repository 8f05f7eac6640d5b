"""Follows the same payments by polling and by webhook, with real requests, and measures what that takes."""
