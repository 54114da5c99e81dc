"""Health, metrics and log messages for operators."""
