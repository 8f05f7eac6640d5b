"""Sandboxes: services that send webhooks, played on this machine. Each is a customer of Ringback's public doors."""
