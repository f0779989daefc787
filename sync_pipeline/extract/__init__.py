"""Sources: a page of records is a value, and every source yields pages it can go on from."""
