"""Topic control models."""
