"""The space as a process: how it is started and found, and how HTTP requests reach it."""
