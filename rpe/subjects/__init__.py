"""The clients under test that come in the box, each behind the same port (`rpe.chaos.subject`)."""
