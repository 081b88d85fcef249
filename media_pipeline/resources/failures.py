"""Turns the plain rooms' errors into Dagster failures: one sentence, retried by Dagster only when that can help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from media_pipeline.genesys.errors import GenesysError
from media_pipeline.storage.base import StorageError, StorageUnavailable
from media_pipeline.tables.partition import TableMissing


@contextmanager
def explained() -> Iterator[None]:
    """Raise dg.Failure with the error's sentence; permanent ones are not retried."""
    try:
        yield
    except GenesysError as error:
        raise dg.Failure(str(error), allow_retries=not error.permanent) from error
    except (StorageError, TableMissing) as error:
        raise dg.Failure(str(error), allow_retries=isinstance(error, StorageUnavailable)) from error
    except PermissionError as error:  # a single file; what holds for all of a place is a StorageError
        sentence = f"{error.filename} cannot be read or written: correct its permissions, then run again."
        raise dg.Failure(sentence, allow_retries=False) from error


def first_cause(event: dg.DagsterEvent) -> str | None:
    """The sentence of a failed step; None when the event has none."""
    error = event.step_failure_data.error
    if error is None:
        return None
    # Dagster wraps what was retried in vain; the first Failure has the sentence, and its own cause may be the system's
    while error.cause is not None and error.cls_name != dg.Failure.__name__:
        error = error.cause
    return error.message.strip().partition(": ")[2] or error.message.strip()
