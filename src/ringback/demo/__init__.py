"""``ringback dev``: a shop's payments told to two endpoints, one of which fails and recovers."""
