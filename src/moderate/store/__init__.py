"""Reads and writes of items, articles and tokens in SQL."""
