"""The stages of a run, each a function from what is on disk to what is on disk, free of Dagster.

::

    fetch ─► index ─► transform(batch) ─► upsert(batch) ─► summarize

`orchestration` wraps each in an op; `sync-pipeline preview` calls them directly. Every stage may be
killed and called again: it goes on where it stopped or does the same again with the same end.
"""
