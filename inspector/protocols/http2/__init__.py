"""HTTP/2 (RFC 9113) as an observer sees it: frames, header compression, streams, and what they tell."""
