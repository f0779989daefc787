"""The spool: records on disk in batches, what became of each batch, and the checkpoint between.

One folder a run of extraction::

    <storage>/spool/<sync key>/<spool id>/
      extraction.sqlite            checkpoint, records routed to earlier batches
      seen.sqlite                  which batch saw a key first
      batch_000001.jsonl           exactly `batch_size` records (the last batch: the rest)
      batch_000001.routed.jsonl    later records that repeat a key of batch 1
      batch_000001.desired.jsonl   what transform made of them
      batch_000001.dead.jsonl      records and entries that failed, with the reason
      manifest.json                written last: the extraction is whole
      results.sqlite               how batches ended; not in it: *spooled and not done*
      handles/                     what Dagster's steps passed on

A record lives in exactly one batch, and all records of a key in the same one: so batches can be
written in any order, in parallel, and again, and the first record of a key wins all the same.
"""
