"""Llama Guard."""
