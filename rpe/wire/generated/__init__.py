"""Stubs of the wire contracts, generated from protos/. Do not edit."""

from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["POOL"]

POOL = DescriptorPool()
