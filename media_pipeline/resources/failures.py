"""Turns the plain rooms' errors into Dagster failures: one sentence, retried by Dagster only when that can help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from media_pipeline.genesys.errors import GenesysError
from media_pipeline.storage.base import StorageError
from media_pipeline.tables.partition import TableMissing


@contextmanager
def explained() -> Iterator[None]:
    """Raise dg.Failure with the error's sentence; permanent ones are not retried."""
    try:
        yield
    except GenesysError as error:
        raise dg.Failure(str(error), allow_retries=not error.permanent) from error
    except (StorageError, TableMissing) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
