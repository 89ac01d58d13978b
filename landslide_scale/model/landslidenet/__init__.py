"""LandslideNet: Segment Anything's parts, the tuning layers, and where these take part.

Imports `model.core` and the vocabulary. Begin with `network.py`, then `tuning.py`.
"""

import sys
from importlib.util import find_spec, module_from_spec


def _lazily(name: str) -> None:
    """Have a package's own ``__init__`` run when something of it is asked for, and not for one of its modules.

    segment_anything's imports torchvision, and that the compiler of torch: seconds of what a predictor takes to
    begin, for nothing in the networks. Whoever asks the package for anything else gets it as ever.
    """
    spec = find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        return
    package, run = module_from_spec(spec), spec.loader.exec_module

    def rest(attribute: str) -> object:
        if attribute.startswith("__"):  # what libraries look for in every module there is
            raise AttributeError(attribute)
        if vars(package).pop("__getattr__", None):
            run(package)
        return getattr(package, attribute)

    vars(package)["__getattr__"] = rest
    sys.modules[name] = package


_lazily("segment_anything")
