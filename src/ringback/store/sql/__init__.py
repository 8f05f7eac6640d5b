"""The verbs of a store that both databases share, in SQL that both speak."""
