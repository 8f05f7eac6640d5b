"""Pages for people: the one where a payer pays, and the dashboard. All work without scripts."""
