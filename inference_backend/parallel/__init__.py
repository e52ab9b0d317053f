"""Several processes for one model: tensor parallel inside a layer, pipeline parallel across layers."""

from inference_backend.parallel.group import SINGLE, TensorGroup
from inference_backend.parallel.peers import PeerMemory, open_peer_memory

__all__ = ["SINGLE", "PeerMemory", "TensorGroup", "open_peer_memory"]
