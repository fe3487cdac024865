"""Speed, measured beside what a user would pick instead. `make bench` runs it all."""
