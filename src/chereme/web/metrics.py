"""What a server counts, for Prometheus. Nothing of who asked, or of what was signed."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "chereme_requests",
            "Requests that were answered",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "chereme_request_seconds",
            "From the head of a request to its answer",
            ["route"],
            buckets=(0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120),
            registry=self.registry,
        )
        self.uploads = Gauge(
            "chereme_uploads", "Uploads that come in, wait or are read", registry=self.registry
        )
        self.sessions = Gauge("chereme_sessions", "Live streams", registry=self.registry)
        self.upload_bytes = Counter(
            "chereme_upload_bytes", "Bytes of files that were uploaded", registry=self.registry
        )
        self.frames = Counter(
            "chereme_stream_frames",
            "Frames of live streams: read, or skipped for a newer one",
            ["fate"],
            registry=self.registry,
        )

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
