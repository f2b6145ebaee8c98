"""Independent QUIC and HTTP/3 stacks judge ours, in both roles."""
