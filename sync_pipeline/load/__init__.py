"""From a desired entry to the space: read, compare, write what differs, publish."""
