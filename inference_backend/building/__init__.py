"""`engine build`: a checkpoint folder in, an engine folder out, quantised and loadable without the original.

A survey builds the model once without weights and notes which stored tensors are linear layers (`survey.py`). Each of
those is quantised, everything else is copied, shard by shard (`build.py`): a shard is written under a temporary name and
renamed when complete, so that a build that was stopped goes on where it was. SmoothQuant first watches the model
(`calibration.py`) and moves the activations' outliers into the weights (`smoothing.py`).
"""

from inference_backend.building.build import BuildProgress, build_engine

__all__ = ["BuildProgress", "build_engine"]
