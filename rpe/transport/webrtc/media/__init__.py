"""Audio tracks: sound that goes to a pipeline, and comes back, as RTP beside the data channels."""
