"""Spam waves: detection, the check and the store."""
