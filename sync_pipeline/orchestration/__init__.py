"""The only Dagster code: jobs, ops, run config, partitions, schedules, sensors."""
