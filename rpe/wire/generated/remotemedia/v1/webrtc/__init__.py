"""Stubs of the wire contracts, generated from protos/. Do not edit."""
