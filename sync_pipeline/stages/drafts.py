"""`publish: all`: after the batches, publish the drafts that others left, once a run."""

from __future__ import annotations

from contextlib import ExitStack

from sync_pipeline.batches.layout import read_json, write_json
from sync_pipeline.load.drafts import publish_drafts
from sync_pipeline.load.index import open_index
from sync_pipeline.stages.setting import Setting, open_client, read_habits, read_target_model

#: Drafts that could not be published and are named in the log; all are counted.
NAMED = 20


def publish_left_drafts(setting: Setting) -> None:
    """Publish every draft of the content type, or in a dry run only count them; idempotent.

    A draft of somebody else that does not pass its validations is a warning, not a failed record:
    it is no record of this sync.
    """
    if setting.options.publish != "all":
        return
    published = refused = 0
    with open_client(setting) as client, ExitStack() as indexes:
        written = [
            indexes.enter_context(open_index(path))
            for path in setting.spool.root.glob(f"index.{setting.run_id}*.sqlite")
        ]
        for result in publish_drafts(
            client,
            read_target_model(setting),
            apply=setting.options.apply,
            find_written=lambda ids: {
                entry_id: entry
                for index in written
                for entry_id, entry in index.find_ids(ids).items()
            },
            habits=read_habits(setting),
        ):
            if result.status == "published":
                published += 1
                continue
            refused += 1
            if refused <= NAMED:
                setting.log.warning(
                    "%s: the draft %s stays unpublished: %s",
                    setting.config.key, result.entry_id, result.message,
                )  # fmt: skip
        requests = client.requests
    # A run that is gone on with, or re-executed, comes here again.
    path = setting.spool.root / "drafts.json"
    before = read_json(path) or {"published": 0, "requests": 0}
    if not setting.options.apply:
        before["published"] = 0  # those are counted anew
    write_json(
        path,
        {
            "published": before["published"] + published,
            "refused": refused,
            "requests": before["requests"] + requests,
        },
    )
