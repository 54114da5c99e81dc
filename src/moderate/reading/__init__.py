"""Threads, feeds and counts: everything that readers get."""
