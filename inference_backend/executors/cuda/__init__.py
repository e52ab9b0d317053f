"""Plans run on one NVIDIA GPU with nothing in the loop that waits for it.

A step's arrays are packed into one pinned buffer and copied while the step before still runs (`packing.py`); one
kernel spreads them into tensors at fixed addresses, taking pending tokens from the table of last sampled ones. A step
of decode rows alone is then the replay of a CUDA graph, captured per number of rows (`graphs.py`, `capturing.py`),
and so is a small mixed one; larger steps launch their kernels one by one, which is hidden behind their longer run.
All tensors and graphs are in one value (`machine.py`). Before any graph is captured, the model's matrix products are
tried out and the fastest algorithm of each is kept (`tuning.py`). Sampling is two kernels inside a graph, or plain
torch operations on the device where a row asks for penalties, masks or log-probabilities (`sampling.py`). Results
travel to pinned memory on a stream of their own and are read a step late (`results.py`).
"""

from inference_backend.executors.cuda.executor import CudaExecutor

__all__ = ["CudaExecutor"]
