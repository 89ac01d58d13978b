"""What s3fs is to be told.

It asks five times within two seconds where an answer says "slow down"; by itself not where a server only says that
it is busy (HTTP 503 without a word, as every HEAD gets it). Of work made of many requests each must be asked again
by itself: to do the whole again for one refusal in ten would never end.
"""

from __future__ import annotations

import functools
from typing import Any

from landslide_scale.storage.absence import may_pass

_STATUS = {"InternalError": 500, "SlowDown": 503, "ServiceUnavailable": 503}


def of_one(code: str, message: str, operation: str) -> Exception:
    """The error of one object among many that a request was about, as its answer would be had it been alone."""
    from s3fs import core  # noqa: PLC0415 - as fsspec

    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": _STATUS.get(code, 400)},
    }
    error: Exception = core.ClientError(answer, operation)
    return error


def options() -> dict[str, Any]:
    """Options of an s3fs file system, besides what users have told fsspec themselves.

    botocore would ask five times for each of s3fs's five; whoever waits longer than those is ours.
    """
    from fsspec.config import conf  # noqa: PLC0415 - local files need no fsspec

    _heed_busy_servers()
    told = conf.get("s3", {}).get("config_kwargs", {})
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}} | told}


@functools.cache
def _heed_busy_servers() -> None:
    """Once in a process, and beside what was asked for before."""
    from s3fs import core  # noqa: PLC0415 - as fsspec

    before = core.CUSTOM_ERROR_HANDLER
    core.set_custom_error_handler(
        lambda error: (isinstance(error, core.ClientError) and may_pass(error)) or before(error)
    )
