"""What exists: switches, ports, endpoints, frames. Pure data and functions; no I/O."""
