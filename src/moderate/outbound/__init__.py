"""Requests to other servers, with checked addresses, deadlines and byte limits."""
