"""Fetch and read the pages that pings name as their sources."""
