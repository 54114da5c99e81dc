"""The filter that learns from moderators' decisions."""
