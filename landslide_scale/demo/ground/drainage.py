"""Where water goes: filled pits, receivers and upstream area, and the valleys that come of it."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
_RISE = 1e-3  # metres a filled pit rises per cell towards its rim, so that it drains


def route(height: NDArray[np.float64], outlet: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Receivers by priority flood (Barnes, Lehman and Mulla 2014): every cell drains to an outlet, pits included.

    Args:
        height: (rows, columns) metres.
        outlet: (rows, columns), True where water leaves; at least one cell.

    Returns:
        (receiver, order): flat index of the cell each cell drains to (itself at an outlet), and all flat indices
        from the outlets upwards.
    """
    rows, columns = height.shape
    flat = height.ravel().tolist()
    receiver = [-1] * len(flat)
    queue = [(flat[i], i) for i in np.flatnonzero(outlet).tolist()]
    for _, i in queue:
        receiver[i] = i
    heapq.heapify(queue)
    order = []
    while queue:
        level, i = heapq.heappop(queue)
        order.append(i)
        row, column = divmod(i, columns)
        for dr, dc in _STEPS:
            if 0 <= row + dr < rows and 0 <= column + dc < columns:
                j = i + dr * columns + dc
                if receiver[j] < 0:
                    receiver[j] = i
                    heapq.heappush(queue, (max(flat[j], level + _RISE), j))
    return np.array(receiver, dtype=np.intp), np.array(order, dtype=np.intp)


def upstream(receiver: NDArray[np.intp], order: NDArray[np.intp], cell_m: float) -> NDArray[np.float64]:
    """Area in m2 that drains through each cell (flat), itself included."""
    area = [cell_m**2] * receiver.size
    to = receiver.tolist()
    for i in reversed(order.tolist()):
        if to[i] != i:
            area[to[i]] += area[i]
    return np.array(area)


def erode(
    height: NDArray[np.float64], uplift: NDArray[np.float64], outlet: NDArray[np.bool_], *, cell_m: float, steps: int
) -> NDArray[np.float64]:
    """Uplift against stream-power incision dh/dt = U - A**0.42 * slope, solved implicitly (Braun and Willett 2013).

    Time is in units of one over the erodibility. Slopes are held below `MAX_SLOPE`, as landslides hold them.

    Args:
        height: (rows, columns) metres at the start.
        uplift: (rows, columns) metres per unit time; divided by the upstream area in m2 to the power 0.42 it
            is the slope of a channel in balance.
        outlet: (rows, columns), True where the height stays.
        cell_m: Side of a cell in metres.
        steps: Number of implicit steps, each long enough for a wave of incision to pass many cells.

    Returns:
        (rows, columns) metres.
    """
    rows, columns = height.shape
    index = np.arange(height.size)
    for _ in range(steps):
        receiver, order = route(height, outlet)
        drop = np.hypot(receiver // columns - index // columns, receiver % columns - index % columns)
        length = np.where(receiver == index, 1.0, drop) * cell_m
        factor = (_TIME_STEP * upstream(receiver, order, cell_m) ** _AREA_POWER / length).tolist()
        raised = (height + np.where(outlet, 0.0, _TIME_STEP * uplift)).ravel().tolist()
        limit = (length * MAX_SLOPE).tolist()
        to = receiver.tolist()
        for i in order.tolist():
            if to[i] != i:
                base = raised[to[i]]
                raised[i] = min((raised[i] + factor[i] * base) / (1.0 + factor[i]), base + limit[i])
        height = np.array(raised).reshape(rows, columns)
    return height


MAX_SLOPE = 0.85
_TIME_STEP = 1.5
_AREA_POWER = 0.42
