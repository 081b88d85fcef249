"""Our engine as the asset recording_audio uses it: links in, verified and published objects on the local disk out.

The source is a stub that knows every link, because a real one's pace is its rate budget. BEFORE requests for one byte
come in front of each recording, through the engine's own pool, in place of an API's calls.

usage: python -m benchmarks.throughput.own MANIFEST BASE_URL OUT SLOTS COUNT BEFORE
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.throughput.clock import measured
from benchmarks.throughput.corpus import Item, read_manifest
from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import ListedRecording, MediaFile
from media_pipeline.storage.local import LocalStore
from media_pipeline.transfer.connections import Connections
from media_pipeline.transfer.download import Downloader
from media_pipeline.transfer.http import MediaHttp
from media_pipeline.transfer.outcome import STORED
from media_pipeline.transfer.parallel import ordered_map
from media_pipeline.transfer.recording import Exporter, Task
from media_pipeline.transfer.spool import Spool


class LinkSource:
    """Resolves a recording to its file on the benchmark's server; no other call of a RecordingSource is made."""

    def __init__(self, items: list[Item], base_url: str, before: int) -> None:
        self._items = {item.path: item for item in items}
        self._base_url = base_url
        self._before = before
        self._pool = Connections()

    def resolve(self, recording: ListedRecording) -> MediaFile:
        """The link and what the manifest says of the file."""
        item = self._items[recording.recording_id]
        link = f"{self._base_url}/{item.path}"
        for _ in range(self._before):
            connection, target = self._pool.take(link)
            exchange = connection.ask(target, {"Range": "bytes=0-0"})
            while exchange.read_into(connection.buffer):
                pass
            self._pool.give_back(connection)
        return MediaFile(file_name=None, content_type="audio/wav", size_bytes=item.size, md5=item.md5, link=link)


def main(manifest: str, base_url: str, out: str, slots: str, count: str, before: str) -> None:
    """Export the manifest's files and print what it took; exits with 1 when one was not stored."""
    items = read_manifest(Path(manifest), int(count))
    stats, store = CallStats(), LocalStore(Path(out))
    http = MediaHttp(MediaHosts(base_url), stats)
    spool = Spool(Path(out) / ".spool", store.url)
    downloader = Downloader(http, store, spool, Patience(), stats)
    source = LinkSource(items, base_url, int(before))
    exporter = Exporter(source, store, downloader, lambda _: None)  # type: ignore[arg-type]
    tasks = [Task(_listed(item), True, item.stored_as, None) for item in items]
    with measured():
        for result in ordered_map(exporter.export, tasks, threads=int(slots), abandon=downloader.abandon):
            if result.row["status"] != STORED:
                sys.exit(f"{result.row['recording_id']}: {result.row['detail']}")
    http.close()


def _listed(item: Item) -> ListedRecording:
    return ListedRecording(
        recording_id=item.path,
        conversation_id=None,
        media_type="call",
        format="wav",
        started_at=None,
        duration_seconds=None,
        file_state="available",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
