"""The management API: one resource per noun, in the Svix wire format."""
