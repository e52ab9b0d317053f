"""Vector indexes: exact search in numpy, FAISS on the CPU or a GPU, and the choice among them.

Every kind keeps the `Index` protocol: inner products of unit vectors (so, cosines), ids chosen by the owner,
insert-or-replace, removal, restriction to a set of ids, and a folder on disk that is replaced in one step and carries
a manifest of checksums (`storage`). `flat` is exact search in numpy; `faiss_index` holds one FAISS structure (made by
`structures`, placed by `gpu`; a flat one on a GPU is scanned by the kernels of `scan`) with `rows` saying which of
its rows count; `settings` names the kinds and knobs, and `make` chooses by size.
"""

from rails_engine.retrieval.index.faiss_index import FaissIndex
from rails_engine.retrieval.index.flat import ExactIndex
from rails_engine.retrieval.index.gpu import pick_device
from rails_engine.retrieval.index.make import make_index
from rails_engine.retrieval.index.settings import EXACT_UP_TO, IndexSettings, Kind, choose
from rails_engine.retrieval.index.storage import Content, open_folder, read_manifest, save_folder

__all__ = [
    "EXACT_UP_TO",
    "Content",
    "ExactIndex",
    "FaissIndex",
    "IndexSettings",
    "Kind",
    "choose",
    "make_index",
    "open_folder",
    "pick_device",
    "read_manifest",
    "save_folder",
]
