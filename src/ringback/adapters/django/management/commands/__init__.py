"""One module per command, named as Django wants it: after the command."""
