"""Deferred work: the queue, the worker, its threads and periodic housekeeping."""
