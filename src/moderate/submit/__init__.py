"""Take a submission from any protocol to the record."""
