"""Manifests: the model of a pipeline, and the rules that it keeps."""
