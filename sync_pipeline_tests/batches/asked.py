"""What the extractions of these tests were asked for."""

from datetime import datetime, timezone

from sync_pipeline.batches.facts import RunFacts
from sync_pipeline.config.run_options import RunOptions

FACTS = RunFacts(
    sync_key="products",
    run_id="first",
    options=RunOptions(apply=True),
    extraction=1,
    target="space/master at api.contentful.com",
    started_at=datetime(2026, 1, 10, tzinfo=timezone.utc),
)
