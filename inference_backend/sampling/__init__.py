"""From logits to tokens, in plain torch and numpy: the CPU's sampler, and the reference for the GPU's.

Per slot the sampler remembers the parameters and the tokens so far. For each sampled position it applies, in this
order: the token mask of a constraint, the logit bias, the penalties, the ban on stop tokens before `min_tokens`; then
greedy choice, or temperature, min-p, top-k, top-p and a draw. The draw uses one number from a counter-based generator
keyed by the request's seed and the index of the token, so it depends on nothing else in the batch. Log probabilities
are those of the model, before any of this.
"""

from inference_backend.sampling.sampler import Sampler

__all__ = ["Sampler"]
