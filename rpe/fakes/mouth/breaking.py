"""What each fault does to a call: in the place of a message, or to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from rpe.fakes.journal import Kind
from rpe.fakes.mouth.encoding import STATUS_NUMBERS, padded, prefixed, pushback, status_details
from rpe.fakes.mouth.script import (
    CallFault,
    Compressed,
    ContentType,
    CutFrame,
    CutVarint,
    EnumOutOfRange,
    GoAway,
    Hang,
    HttpStatus,
    LastStream,
    LengthPrefix,
    MissingField,
    NoTrailers,
    Oversized,
    PingStorm,
    Reset,
    Status,
    StopReading,
    SwappedTypes,
    Then,
    UnknownFields,
    WrongOneof,
)
from rpe.fakes.mouth.script_wrong import WrongFault
from rpe.fakes.mouth.wrong import CannotApply, answer_descriptor, made_wrong

if TYPE_CHECKING:
    from rpe.fakes.mouth.call import RawCall

__all__ = ["break_call", "break_message"]

_CUT_VARINT = b"\x08\xff\xff"
"""The first field as a number of which more was to come."""

_ANY_STREAM = 2**31 - 1


async def break_call(fault: CallFault, call: RawCall) -> None:
    """Do what stands in the place of a message. Returns only where the answer then goes on."""
    match fault:
        case Status():
            number = fault.status if isinstance(fault.status, int) else STATUS_NUMBERS[fault.status]
            more = pushback(fault.retry_after_s)
            if fault.details is not None:
                packed = status_details(number, fault.message, fault.details)
                more.append(("grpc-status-details-bin", packed))
            _ended(fault, call, str(number))
            call.send_status(number, fault.message, more)
        case NoTrailers():
            _ended(fault, call)
            await call.write(b"", end=True)
        case Reset():
            _ended(fault, call, str(fault.code))
            if fault.headers:
                call.send_headers()
            call.connection.reset(call.stream_id, fault.code)
        case HttpStatus():
            _ended(fault, call, str(fault.code))
            headers = [(":status", str(fault.code)), ("content-type", "text/plain")]
            call.headers_sent = True
            call.connection.send_headers(call.stream_id, headers, end=False)
            await call.write(fault.body.encode(), end=True)
        case Hang():
            call.note_fault(fault)
            await call.connection.for_ever()
        case GoAway():
            await _go_away(fault, call)
            return
        case _:
            raise AssertionError(f"{fault.kind} is done to a message")
    await call.stop_here()


async def break_message(fault: CallFault, call: RawCall, message: bytes) -> None:
    """Send a message of the answer with something wrong about it."""
    match fault:
        case CutFrame():
            _ended(fault, call)
            call.send_headers()
            call.connection.cut_inside_frame(call.stream_id, prefixed(message), reset=fault.reset)
            await call.stop_here()
        case LengthPrefix():
            call.note_fault(fault, f"{len(message)} bytes, {fault.off_by:+d}")
            await call.write(prefixed(message, announced_bytes=len(message) + fault.off_by))
        case Compressed():
            call.note_fault(fault, fault.encoding or "")
            call.encoding = fault.encoding
            await call.write(prefixed(message, compressed=True))
        case CutVarint():
            call.note_fault(fault)
            await call.write(prefixed(message + _CUT_VARINT))
        case Oversized():
            call.note_fault(fault, f"{fault.size_bytes} bytes")
            await call.write(prefixed(padded(message, fault.size_bytes)))
        case ContentType():
            call.note_fault(fault, fault.value or "")
            call.content_type = fault.value
            await call.write(prefixed(message))
        case PingStorm():
            call.note_fault(fault, str(fault.count))
            await call.connection.ping(fault.count)
            await call.write(prefixed(message))
        case WrongOneof() | EnumOutOfRange() | SwappedTypes() | MissingField() | UnknownFields():
            await call.write(prefixed(_wrong(fault, call, message)))
        case StopReading():
            raise AssertionError("stop_reading is about the request")
        case Status() | NoTrailers() | Reset() | GoAway() | Hang() | HttpStatus():
            raise AssertionError(f"{fault.kind} stands in the place of a message")
        case _:
            assert_never(fault)


def _wrong(fault: WrongFault, call: RawCall, message: bytes) -> bytes:
    """Return the message made wrong; where that cannot be, the journal says so, and it is as it was."""
    try:
        made, place = made_wrong(fault, answer_descriptor(call.path, call.pool), message)
    except CannotApply as error:
        call.note("not_applied", f"{fault.kind}: {error}")
        return message
    call.note_fault(fault, place)
    return made


async def _go_away(fault: GoAway, call: RawCall) -> None:
    last = {
        LastStream.NONE: 0,
        LastStream.BEFORE: max(call.stream_id - 2, 0),
        LastStream.THIS: call.stream_id,
        LastStream.ANY: _ANY_STREAM,
    }[fault.last]
    detail = f"{fault.code}, last stream {last}, this is {call.stream_id}"
    if fault.then is Then.CLOSE:
        _ended(fault, call, detail)
    else:
        call.note_fault(fault, detail)
    call.connection.go_away(fault.code, last, fault.debug.encode())
    if fault.then is Then.CLOSE:
        call.connection.end_writing()
        await call.stop_here()
    elif fault.then is Then.SILENCE:
        await call.connection.for_ever()


def _ended(fault: CallFault, call: RawCall, detail: str = "") -> None:
    """Write the fault and the end of the call down, before anything of it goes out."""
    call.note_fault(fault, detail)
    call.note_end(Kind.FAILED, fault.kind)
