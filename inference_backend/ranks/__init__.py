"""One model over several processes.

Rank 0 is where the engine is: its `RankedExecutor` sends each command, plan and mask to the other ranks (`wire.py`
encodes them, no pickle) and runs its own share like them. Tensor-parallel ranks of a stage compute the same step on
shares of each layer and add up; each of them ends with the same logits and samples the same tokens, so nothing has to
be sent back. Pipeline stages hand hidden states on (`link.py`); the last one samples and sends the result to rank 0.
`launch.py` starts the other ranks on this machine; `place.py` says which rank does what.
"""

from inference_backend.ranks.executor import RankedExecutor
from inference_backend.ranks.launch import open_ranks
from inference_backend.ranks.link import Link
from inference_backend.ranks.place import RankPlace

__all__ = ["Link", "RankPlace", "RankedExecutor", "open_ranks"]
