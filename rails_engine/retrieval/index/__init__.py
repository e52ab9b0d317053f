"""Vector indexes: exact search in numpy, and the choice among the approximate kinds.

Every kind keeps the `Index` protocol: inner products of unit vectors (so, cosines), ids chosen by the owner,
insert-or-replace, removal, restriction to a set of ids, and a folder on disk that is replaced in one step and carries
a manifest of checksums (`storage`).
"""

from rails_engine.retrieval.index.flat import ExactIndex
from rails_engine.retrieval.index.storage import Content, open_folder, save_folder

__all__ = ["Content", "ExactIndex", "open_folder", "save_folder"]
