"""Content safety models."""
