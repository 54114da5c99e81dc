"""What readers see: threads, feeds, counts."""
