"""Ready-made ways to ask providers for events whose webhook has not come, for ``Inbox.reconcile``."""
