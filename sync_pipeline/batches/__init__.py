"""The spool: records on disk in batches of `batch_size`, with the checkpoint of the extraction."""
