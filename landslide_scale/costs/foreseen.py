"""What a planned scan will take, at the rates of one that has ended, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landslide_scale.costs.settings import PricesConfig
    from landslide_scale.costs.took import Took, Work

_HOUR = 3600.0


def took_lines(took: Took) -> list[str]:
    """What a scan took, in a line."""
    busy = "" if took.busy is None else f"; predictors were at work for {took.busy:.0%} of it"
    units = f"{took.work.units:,} units that were scanned"
    return [f"took: {took.wall_s / _HOUR:,.2f} h for {units}{busy}"]


def cost_lines(
    like: Took, work: Work, *, cpus_per_reader: float, predictor: tuple[float, float], prices: PricesConfig | None
) -> list[str]:
    """Hours of readers and predictors, and what they cost.

    Args:
        like: What rates are taken from: seconds of readers for each byte, of predictors for each pixel shown, of
            writers for each unit. What it says nothing of is said to be unknown, and no cost follows.
        work: What is planned.
        cpus_per_reader: CPU cores of a reader or writer.
        predictor: CPU cores and GPUs of a predictor.
        prices: Of an hour; None where the configuration says none.
    """
    if work.read_bytes and not like.work.read_bytes:
        return ["expected: of readers nothing is known: no scene was read there"]
    reading = like.read_s * _ratio(work.read_bytes, like.work.read_bytes) / _HOUR
    writing = like.write_s * _ratio(work.units, like.work.units) / _HOUR
    if work.pixels and not (like.predict_s and like.work.pixels):
        hours = f"expected: {reading + writing:,.2f} reader hours"
        return [f"{hours}; of predictors nothing is known: no network was at work there"]
    predicting = like.predict_s * _ratio(work.pixels, like.work.pixels) / _HOUR
    cpus, gpus = predictor
    cores = (reading + writing) * cpus_per_reader + predicting * cpus
    return [
        (
            f"expected: {reading + writing:,.2f} reader hours, {predicting:,.2f} predictor hours at work, "
            f"at the rates of {like.work.units:,} units there"
        ),
        *([] if prices is None else [_cost(prices, cores, predicting * gpus)]),
    ]


def _cost(prices: PricesConfig, cores: float, gpus: float) -> str:
    whole = cores * prices.cpu_hour + gpus * prices.gpu_hour
    return (
        f"expected: {whole:,.2f} {prices.currency} ({cores:,.2f} core hours, {gpus:,.2f} GPU hours) while all are at "
        "work; machines that wait cost as much"
    )


def _ratio(planned: int, measured: int) -> float:
    return planned / measured if measured else 0.0
