"""The arrays that columns, metrics and statistics are made of: in a module of its own, without pyarrow."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
