"""The LLM engine: tokens in, tokens out, on a CPU or a GPU.

A request's life, and the file that has each step:

1. `text/`: a prompt or chat messages become token ids.
2. `engine.py`: `Engine.add` gives the request to the scheduler; `AsyncEngine` runs the engine in one worker thread,
   with one queue per request.
3. `scheduler.py`: each step, running sequences get one token each and waiting prompts get what is left of the token
   budget, in chunks; `kv/` gives them blocks of the cache, reused where an earlier prompt began with the same tokens.
   The outcome is a `StepPlan` (`step.py`): flat arrays, no tensor.
4. `executor.py`: an `Executor` runs plans. `executors/` has the torch one for CPU and the CUDA one; models (`models/`)
   are put together from `layers/`, whose operations are `kernels/`: plain torch on a CPU, Triton on a GPU.
5. `sampling/`: the last position's logits become a token, under the request's parameters and token masks.
6. The `StepResult` goes back to the engine, which applies it: text is decoded character-safe, stops are looked
   for, finished sequences leave their blocks to the prefix cache.

The next step may be planned while this one runs: a plan names the tokens it does not know yet, and the executor takes
them from where it left them. `kv/`, `scheduler.py`, `values.py` and `step.py` import no torch.
"""
