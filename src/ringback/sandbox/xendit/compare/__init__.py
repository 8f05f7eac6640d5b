"""Polling compared with webhooks: what is to be compared, what came of it, and how that is shown."""
