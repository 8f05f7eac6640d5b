"""Commands that Ringback adds to ``manage.py``."""
