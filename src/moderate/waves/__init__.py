"""Spam waves: detection and the store; the check is in `moderate.checks.history`."""
