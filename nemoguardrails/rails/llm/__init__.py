"""Rails around language models."""
