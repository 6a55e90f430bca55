"""Measurements beside peers. `make bench` runs all rows, `make bench ROW=name` one."""
