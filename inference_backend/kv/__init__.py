"""Where each sequence's keys and values lie: bookkeeping of cache blocks, with no tensor in sight.

The cache is cut into blocks of a few tokens. A sequence owns a list of blocks, in order, so that memory is lost only
in its last one (Kwon et al., PagedAttention, 2023). A full block is named by the hash of its tokens and of everything
before them; a later sequence that begins with the same tokens finds it by that name and shares it. References are
counted; a block that nobody holds keeps its content and its name until somebody needs the room, the longest unused one
going first. The chain starts from a salt, so that tenants, adapters and prefixes never share by accident or probing.
"""

from inference_backend.kv.blocks import BlockPool
from inference_backend.kv.prefix import PrefixCache, chain_hash, root_hash

__all__ = ["BlockPool", "PrefixCache", "chain_hash", "root_hash"]
