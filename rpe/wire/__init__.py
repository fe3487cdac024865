"""The wire: generated stubs, and the codecs between rpe's own types and what travels.

Import the codec that you need (`rpe.wire.protobuf`, `rpe.wire.manifest`): this
package itself imports neither protobuf nor grpc.
"""
