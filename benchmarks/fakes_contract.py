"""The small contract that fakes of definitions are measured with, and what serves it without any of them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

__all__ = ["LISTED", "SERVICE", "Item", "bare_handler", "definition", "request", "write_definition"]

SERVICE = "bench.v1.Bench"
LISTED = 1000
"""How many messages one call of `List` is answered with."""

_DATA = bytes(640)
_FIELDS = {
    "id": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "text": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "data": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
}


def _contract() -> descriptor_pb2.FileDescriptorProto:
    """The contract, as a compiler would give it."""
    file = descriptor_pb2.FileDescriptorProto(
        name="bench/v1/bench.proto", package="bench.v1", syntax="proto3"
    )
    item = file.message_type.add(name="Item")
    for number, (name, kind) in enumerate(_FIELDS.items(), 1):
        item.field.add(
            name=name, number=number, type=kind, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
        )
    service = file.service.add(name="Bench")
    for name in ("Get", "Fixed", "List"):
        service.method.add(
            name=name,
            input_type=".bench.v1.Item",
            output_type=".bench.v1.Item",
            server_streaming=name == "List",
        )
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_contract())
Item: Any = GetMessageClass(_POOL.FindMessageTypeByName("bench.v1.Item"))


def request() -> Message:
    """What every call sends: an id, and a text of 1 KB."""
    message: Message = Item(id="7", text="x" * 1024)
    return message


def bare_handler() -> grpc.GenericRpcHandler:
    """The three methods as one writes them for a bare grpc.aio server.

    Requests are parsed and answers serialised by the message classes, as generated code does it.
    """
    fixed, listed = Item(id="7", text="x" * 1024), Item(data=_DATA)

    async def get(asked: Any, context: Any) -> Any:
        return Item(id=asked.id, text=asked.text)

    async def get_fixed(asked: Any, context: Any) -> Any:
        return fixed

    async def get_list(asked: Any, context: Any) -> AsyncIterator[Any]:
        for _ in range(LISTED):
            yield listed

    coding: Any = {"request_deserializer": Item.FromString, "response_serializer": Item.SerializeToString}
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Get": grpc.unary_unary_rpc_method_handler(get, **coding),
            "Fixed": grpc.unary_unary_rpc_method_handler(get_fixed, **coding),
            "List": grpc.unary_stream_rpc_method_handler(get_list, **coding),
        },
    )


def definition(listed: int = LISTED) -> dict[str, Any]:
    """The same answers as a definition: `Get` fills them from the request, the others are fixed.

    `List` answers with `listed` messages.
    """
    filled = {"id": "${request.id}", "text": "${request.text}"}
    item = {"data": base64.b64encode(_DATA).decode()}
    return {
        "service": SERVICE,
        "descriptors": {"set": "bench.binpb"},
        "methods": {
            "Get": [{"answer": {"message": filled}}],
            "Fixed": [{"answer": {"message": {"id": "7", "text": "x" * 1024}}}],
            "List": [{"answer": {"messages": [{"message": item} for _ in range(listed)]}}],
        },
    }


def write_definition(folder: Path, listed: int = LISTED) -> Path:
    """Write the definition and its compiled set into a folder; returns the definition's file."""
    import yaml

    compiled = descriptor_pb2.FileDescriptorSet(file=[_contract()])
    (folder / "bench.binpb").write_bytes(compiled.SerializeToString())
    file = folder / "bench.v1.Bench.yaml"
    file.write_text(yaml.safe_dump(definition(listed)))
    return file
