"""Retrieval: embeddings, vector indexes, the knowledge base and intents. See `base` for the protocols."""
