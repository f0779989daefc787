"""From one page to the next: what answers declare, and the machines that decide."""
