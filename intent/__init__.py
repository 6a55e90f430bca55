"""What should be: the intent language, its meaning, and its compiler to OpenFlow."""
