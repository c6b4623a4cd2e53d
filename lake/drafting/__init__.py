"""Drafting: the contract of a file that nobody has described yet."""
