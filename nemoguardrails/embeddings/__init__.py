"""Embeddings and the indexes that search them."""
