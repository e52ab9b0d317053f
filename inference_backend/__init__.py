"""Tokens: scheduler, paged KV cache, kernels, models, quantization and text."""
