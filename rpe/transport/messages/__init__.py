"""The messages of `remotemedia.v1`, as every wire that carries them makes and reads them."""
