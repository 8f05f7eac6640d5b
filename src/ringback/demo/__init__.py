"""``ringback dev``: a shop paid through the Xendit sandbox, and messages of which one is refused at first."""
