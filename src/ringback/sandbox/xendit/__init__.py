"""Xendit's API, played: objects that change, and the documented webhook for every change.

``ledger`` keeps the objects, ``notices`` what is told of them, ``calls`` is what a request and its answer are. Each
product has a file of its own with the routes it answers; ``sandbox`` puts them together and ``api`` serves them.
"""
