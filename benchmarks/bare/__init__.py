"""What a user writes who has no layer at all: the same calls over bare grpc.aio, aiohttp and aiortc."""
