"""Films from hosts of other habits than the sandbox's."""

import hashlib

import pytest

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import MediaFile
from media_pipeline.interactions.film import Films
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import Effort
from media_pipeline_tests.transfer.serving import plain, serving, start_of

OLD, NEW = b"o" * 4_000, b"n" * 4_000


@pytest.mark.parametrize("etags", [False, True])
def test_what_was_not_proved_to_be_of_the_same_film_is_not_joined(tmp_path, etags):
    """A short reply, and another film under the link when the rest is asked for."""
    asked = []

    def answer(handler):
        start, film = start_of(handler), NEW if asked else OLD
        end = 1_000 if not asked else len(film)
        asked.append(start)
        facts = {"ETag": f'"{hashlib.sha256(film).hexdigest()}"'} if etags else {}
        plain(handler, 206, film[start:end], Content_Range=f"bytes {start}-{end - 1}/{len(film)}", **facts)

    with serving(answer) as link:
        stats = CallStats()
        http = MediaHttp(MediaHosts("http://127.0.0.1"), stats)
        film = MediaFile(file_name=None, content_type=None, size_bytes=None, md5=None, link=link)
        Films(http, Patience(0.001), stats, 10_000).fetch(tmp_path / "film", lambda: film, Effort())
        http.close()
    assert (tmp_path / "film").read_bytes() == NEW
    assert len(asked) == (3 if etags else 2)
